// One render of a Jinja template: the running frame, the output, and what the outside gave.
#pragma once

#include <ctime>
#include <memory>
#include <vector>

#include "template/jinja_tree.h"
#include "template/printing.h"

namespace hearth::templates {

struct Frame {
  Frame* parent;
  Value* slots;
};

class Render {
 public:
  // `inputs`: values of the template's InputNames, by number.
  Render(Budget& budget, std::span<const Value> inputs, const std::tm& now, bool strict = false)
      : budget_(budget), out_(std::make_unique<TextBuilder>(budget)), inputs_(inputs), now_(now), strict_(strict) {}

  Budget& budget() { return budget_; }
  const std::tm& now() const { return now_; }
  bool strict() const { return strict_; }  // see RenderOptions
  TextBuilder& out() { return *out_; }
  const Value& input(uint32_t number) const { return inputs_[number]; }

  Value evaluate(const Expression& expression) {
    const Budget::Nested nested(budget_);
    budget_.work(1);
    return expression.evaluate(*this);
  }
  Flow run(const Body& body);
  // What `body` writes, as a text.
  Value capture(const Body& body);

  Value& slot(Address address) {
    Frame* frame = frame_;
    for (; address.frames > 0; --address.frames) frame = frame->parent;
    return frame->slots[address.slot];
  }
  Frame* frame() { return frame_; }
  Frame* make_frame(const Function& function, Frame* parent) {
    auto* slots =
        static_cast<Value*>(budget_.arena()->allocate(std::max(function.slots, 1u) * sizeof(Value), alignof(Value)));
    std::uninitialized_fill_n(slots, function.slots, Value());
    return budget_.make<Frame>(Frame{parent, slots});
  }
  // Makes `frame` the running one until the object's end.
  class Entered {
   public:
    Entered(Render& render, Frame* frame) : render_(render), before_(std::exchange(render.frame_, frame)) {}
    ~Entered() { render_.frame_ = before_; }
    Entered(const Entered&) = delete;

   private:
    Render& render_;
    Frame* before_;
  };

  // Shorthands for builtins.
  Value text(std::string_view copied) { return make_string(budget_, copied); }
  List* list(Sequence sequence = Sequence::kList) { return make_list(budget_, sequence); }

 private:
  Budget& budget_;
  std::unique_ptr<TextBuilder> out_;
  std::vector<std::unique_ptr<TextBuilder>> spare_;  // of captures that have ended: their memory is used again
  std::span<const Value> inputs_;
  std::tm now_;
  const bool strict_;
  Frame* frame_ = nullptr;
};

}  // namespace hearth::templates
