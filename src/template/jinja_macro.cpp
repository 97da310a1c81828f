// Macros, call blocks and blocks: bodies that are called.
#include "template/jinja_statements.h"

namespace hearth::templates {
namespace {

struct MacroFunction : Object {
  MacroFunction(const MacroBody* body, Frame* frame) : macro(body), closure(frame) {}
  bool callable() const override { return true; }
  std::string text() const override { return fmt::format("<Macro '{}'>", macro->name); }
  Value attribute(Render& render, std::string_view name) override;
  Value call(Render& render, const Arguments& arguments) override;
  void pass(Render& render, const Arguments& arguments) const;
  void pass_named(Render& render, const Arguments& arguments) const;

  const MacroBody* macro;
  Frame* closure;
};

Value MacroFunction::attribute(Render& render, std::string_view name) {
  if (name == "name") return borrow_string(render.budget(), macro->name);
  if (name == "arguments") {
    List* names = render.list(Sequence::kTuple);
    for (const auto& parameter : macro->parameters)
      names->items.push_back(borrow_string(render.budget(), parameter.name));
    return Value::list(names);
  }
  if (name == "catch_kwargs") return Value::boolean(macro->uses_kwargs);
  if (name == "catch_varargs") return Value::boolean(macro->uses_varargs);
  if (name == "caller") return Value::boolean(macro->uses_caller);
  return {};
}

Value MacroFunction::call(Render& render, const Arguments& arguments) {
  const Budget::Nested nested(render.budget());
  const Render::Entered entered(render, render.make_frame(macro->function, closure));
  macro->scope.enter(render);
  pass(render, arguments);
  return render.capture(macro->body);
}

void MacroFunction::pass(Render& render, const Arguments& arguments) const {
  const size_t count = macro->parameters.size();
  for (size_t i = 0; i < count; ++i) {
    if (i < arguments.positional.size()) render.slot({0, macro->parameters[i].slot}) = arguments.positional[i];
  }
  if (arguments.positional.size() > count && !macro->uses_varargs) {
    fail("the macro '{}' takes not more than {} arguments", macro->name, count);
  }
  if (macro->uses_varargs) {
    List* rest = render.list(Sequence::kTuple);
    if (arguments.positional.size() > count) {
      rest->items.assign(arguments.positional.begin() + static_cast<ptrdiff_t>(count), arguments.positional.end());
    }
    render.slot({0, macro->varargs_slot}) = Value::list(rest);
  }
  pass_named(render, arguments);
  for (const auto& parameter : macro->parameters) {
    Value& slot = render.slot({0, parameter.slot});
    if (slot.is_missing() && parameter.otherwise != nullptr) slot = render.evaluate(*parameter.otherwise);
  }
}

void MacroFunction::pass_named(Render& render, const Arguments& arguments) const {
  Map* rest = render.budget().make<Map>(render.budget());
  for (const auto& [name, value] : arguments.named) {
    const auto parameter = std::ranges::find(macro->parameters, name, &MacroBody::Parameter::name);
    if (parameter != macro->parameters.end()) {
      Value& slot = render.slot({0, parameter->slot});
      if (!slot.is_missing()) fail("the macro '{}' is given the argument '{}' twice", macro->name, name);
      slot = value;
    } else if (name == "caller" && macro->uses_caller) {
      render.slot({0, macro->caller_slot}) = value;
    } else if (macro->uses_kwargs) {
      rest->set(make_string(render.budget(), name), value);
    } else {
      fail("the macro '{}' takes no argument named '{}'", macro->name, name);
    }
  }
  if (macro->uses_kwargs) render.slot({0, macro->kwargs_slot}) = Value::map(rest);
}

Frame* root_of(Frame* frame) {
  while (frame->parent != nullptr) frame = frame->parent;
  return frame;
}

struct BlockFunction : Object {
  BlockFunction(const Block* statement, Frame* frame) : block(statement), closure(frame) {}
  bool callable() const override { return true; }
  std::string text() const override { return fmt::format("<Block '{}'>", block->name); }
  Value call(Render& render, const Arguments&) override {
    const Budget::Nested nested(render.budget());
    const Render::Entered entered(render, render.make_frame(block->function, closure));
    block->scope.enter(render);
    return render.capture(block->body);
  }

  const Block* block;
  Frame* closure;
};

struct Self : Object {
  explicit Self(std::span<const Block* const> all) : blocks(all) {}
  std::string text() const override { return "<self>"; }
  Value attribute(Render& render, std::string_view name) override {
    for (const Block* block : blocks) {
      if (block->name != name) continue;
      if (block->scoped) fail("the block '{}' is scoped, so it can only be where it stands", name);
      return Value::object(render.budget().make<BlockFunction>(block, root_of(render.frame())));
    }
    return {};
  }

  std::span<const Block* const> blocks;
};

}  // namespace

Value make_self(Budget& budget, std::span<const Block* const> blocks) {
  return Value::object(budget.make<Self>(blocks));
}

Value MacroBody::make(Render& render) const {
  return Value::object(render.budget().make<MacroFunction>(this, render.frame()));
}

void MacroBody::bind(Symbols& symbols) {
  function.parent = &symbols.function();
  Symbols inner(function, &symbols, symbols.inputs());
  for (Parameter& parameter : parameters) parameter.slot = inner.parameter(parameter.name);
  for (const Parameter& parameter : parameters) declare_names(parameter.otherwise.get(), inner);
  declare_body(body, inner);
  if (uses_caller) caller_slot = inner.parameter("caller");
  if (uses_varargs) varargs_slot = inner.parameter("varargs");
  if (uses_kwargs) kwargs_slot = inner.parameter("kwargs");
  for (const Parameter& parameter : parameters) bind_names(parameter.otherwise.get(), inner);
  bind_body(body, inner);
  scope.take(inner);
}

Flow Macro::run(Render& render) const {
  render.slot(address) = macro.make(render);
  return Flow::kNext;
}

void Macro::bind(Symbols& symbols) {
  address = symbols.address(macro.name);
  macro.bind(symbols);
}

Flow CallBlock::run(Render& render) const {
  print(render.out(), call->call_with(render, caller.make(render)));
  return Flow::kNext;
}

void CallBlock::bind(Symbols& symbols) {
  bind_names(call.get(), symbols);
  caller.bind(symbols);
}

Flow Block::run(Render& render) const {
  print(render.out(), BlockFunction(this, scoped ? render.frame() : root_of(render.frame())).call(render, {}));
  return Flow::kNext;
}

// A block sees the names of the template itself; those of the loop it stands in only if it is scoped.
void Block::bind(Symbols& symbols) {
  Symbols* outer = &symbols;
  while (!scoped && outer->parent() != nullptr) outer = outer->parent();
  function.parent = &outer->function();
  Symbols inner(function, outer, symbols.inputs());
  declare_body(body, inner);
  bind_body(body, inner);
  scope.take(inner);
}

}  // namespace hearth::templates
