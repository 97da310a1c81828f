// One execution of a Go template.
#pragma once

#include <vector>

#include "template/go_functions.h"
#include "template/go_tree.h"

namespace hearth::templates::go {

class Run {
 public:
  Run(const Tree& tree, const CallContext& context, TextBuilder& out) : tree_(tree), context_(context), out_(out) {}

  // `only_kept`: see cut_behind().
  void execute(const Value& root, bool only_kept = false);

 private:
  enum class Flow : uint8_t { kNext, kBreak, kContinue };
  struct Variable {
    const std::string* name;
    Value value;
  };

  Flow run(const NodeList& list, const Value& dot);
  Flow run(const Node& node, const Value& dot);
  Flow choose(const Node& node, const Value& dot);
  void range(const Node& node, const Value& dot);
  Flow iteration(const Node& node, const Value& key, const Value& value);
  void call_template(const Node& node, const Value& dot);

  Value evaluate(const Pipeline& pipeline, const Value& dot, bool assigns = true);
  Value evaluate(const Command& command, const Value& dot, const Value* piped);
  Value call(const Command& command, const Value& dot, const Value* piped);
  Value operand(const Operand& operand, const Value& dot);
  void set(const std::string& name, const Value& value);

  const Tree& tree_;
  const CallContext& context_;
  TextBuilder& out_;
  std::vector<Variable> variables_;
  bool only_kept_ = false;
};

}  // namespace hearth::templates::go
