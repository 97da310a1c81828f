// The statement `for` and the object `loop`.
#include "template/jinja_statements.h"

namespace hearth::templates {
namespace {

struct Loop : Object {
  const For* statement = nullptr;
  const List* items = nullptr;
  int64_t index = 0, depth = 1;
  Frame* outer = nullptr;  // of a recursive loop: where it was begun
  List* last_changed = nullptr;

  int64_t size() const { return static_cast<int64_t>(items->items.size()); }
  bool callable() const override { return true; }
  std::string text() const override { return fmt::format("<LoopContext {}/{}>", index + 1, size()); }
  Value attribute(Render& render, std::string_view name) override;
  Value call(Render& render, const Arguments& arguments) override;
  Value neighbour(int64_t at) const {
    return at < 0 || at >= size() ? Value::undefined(nullptr) : items->items[static_cast<size_t>(at)];
  }
};

// loop.cycle(...) and loop.changed(...).
struct LoopFunction : Object {
  LoopFunction(Loop* owner, bool cycles) : loop(owner), is_cycle(cycles) {}
  bool callable() const override { return true; }
  std::string text() const override { return "<bound method of loop>"; }
  Value call(Render& render, const Arguments& arguments) override {
    const auto& values = arguments.positional;
    if (is_cycle) {
      if (values.empty()) fail("loop.cycle() needs items");
      return values[static_cast<size_t>(loop->index) % values.size()];
    }
    List* now = render.list();
    now->items.assign(values.begin(), values.end());
    const bool changed =
        loop->last_changed == nullptr || !equal(render.budget(), Value::list(loop->last_changed), Value::list(now));
    loop->last_changed = now;
    return Value::boolean(changed);
  }

  Loop* loop;
  bool is_cycle;
};

Value Loop::attribute(Render& render, std::string_view name) {
  if (name == "index") return Value::integer(index + 1);
  if (name == "index0") return Value::integer(index);
  if (name == "first") return Value::boolean(index == 0);
  if (name == "last") return Value::boolean(index + 1 >= size());
  if (name == "length") return Value::integer(size());
  if (name == "revindex") return Value::integer(size() - index);
  if (name == "revindex0") return Value::integer(size() - index - 1);
  if (name == "depth") return Value::integer(depth);
  if (name == "depth0") return Value::integer(depth - 1);
  if (name == "previtem") return neighbour(index - 1);
  if (name == "nextitem") return neighbour(index + 1);
  if (name == "cycle" || name == "changed")
    return Value::object(render.budget().make<LoopFunction>(this, name == "cycle"));
  return {};
}

// loop(items): the loop's body for these items, as a text.
Value Loop::call(Render& render, const Arguments& arguments) {
  if (!statement->recursive) fail("the loop is not recursive, so loop() cannot be called");
  const auto [more] = bind_arguments<1>(arguments, {"iterable"}, 1);
  struct Again : Statement {
    Flow run(Render& inner) const override {
      loop->statement->run_items(inner, *items, loop->depth + 1, loop->outer);
      return Flow::kNext;
    }
    const Loop* loop = nullptr;
    const Value* items = nullptr;
  };
  auto again = std::make_unique<Again>();
  again->loop = this;
  again->items = &more;
  Body body;
  body.push_back(std::move(again));
  return render.capture(body);
}

}  // namespace

Flow For::run(Render& render) const {
  run_items(render, render.evaluate(*items), 1, render.frame());
  return Flow::kNext;
}

List* For::chosen(Render& render, List* all) const {
  List* result = render.list();
  for (const Value& item : all->items) {
    condition_scope.enter(render);
    condition_target.assign(render, item);
    if (truth(render.evaluate(*condition))) result->items.push_back(item);
  }
  return result;
}

void For::run_items(Render& render, const Value& value, int64_t depth, Frame* outer) const {
  List* list = iterate(render, value);
  const Render::Entered entered(render, recursive ? render.make_frame(function, outer) : outer);
  if (condition != nullptr) list = chosen(render, list);
  Loop* loop = nullptr;
  if (uses_loop) {
    loop = render.budget().make<Loop>();
    loop->statement = this;
    loop->items = list;
    loop->depth = depth;
    loop->outer = outer;
  }
  bool completed = false;  // any item: as in Jinja, one that breaks or continues does not count
  for (size_t i = 0; i < list->items.size(); ++i) {
    body_scope.enter(render);
    if (loop != nullptr) {
      loop->index = static_cast<int64_t>(i);
      render.slot({0, loop_slot}) = Value::object(loop);
    }
    target.assign(render, list->items[i]);
    const Flow flow = render.run(body);
    if (flow == Flow::kBreak) break;
    completed |= flow == Flow::kNext;
  }
  if (!completed) {
    otherwise_scope.enter(render);
    render.run(otherwise);
  }
}

void For::bind(Symbols& symbols) {
  bind_names(items.get(), symbols);
  function.parent = &symbols.function();
  Function& owner = recursive ? function : symbols.function();
  if (condition != nullptr) {
    Symbols inner(owner, &symbols, symbols.inputs());
    condition_target = target;
    condition_target.declare_parameters(inner);
    declare_names(condition.get(), inner);
    condition_target.bind(inner);
    bind_names(condition.get(), inner);
    condition_scope.take(inner);
  }
  Symbols inner(owner, &symbols, symbols.inputs());
  target.declare_parameters(inner);
  if (uses_loop) loop_slot = inner.parameter("loop");
  declare_body(body, inner);
  target.bind(inner);
  bind_body(body, inner);
  body_scope.take(inner);
  Symbols other(owner, &symbols, symbols.inputs());
  declare_body(otherwise, other);
  bind_body(otherwise, other);
  otherwise_scope.take(other);
}

}  // namespace hearth::templates
