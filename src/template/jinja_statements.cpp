#include "template/jinja_statements.h"

namespace hearth::templates {

void Target::assign(Render& render, const Value& value) const {
  if (!parts.empty()) {
    const List* values = iterate(render, value);
    if (values->items.size() != parts.size()) {
      fail("{} values cannot be assigned to {} names", values->items.size(), parts.size());
    }
    for (size_t i = 0; i < parts.size(); ++i) parts[i].assign(render, values->items[i]);
  } else if (attribute.empty()) {
    render.slot(address) = value;
  } else {
    const Value& space = render.slot(address);
    if (!space.is(Kind::kNamespace)) fail("'{}' is no namespace, so its attributes cannot be set", name);
    space.as_map().set(borrow_string(render.budget(), attribute), value);
  }
}

Flow Text::run(Render& render) const {
  render.out().literal(text);
  return Flow::kNext;
}

Flow Output::run(Render& render) const {
  const Value result = render.evaluate(*value);
  if (render.strict() && (result.is(Kind::kUndefined) || result.is_missing())) fail_undefined(result);
  print(render.out(), result);
  return Flow::kNext;
}

Flow If::run(Render& render) const {
  if (truth(render.evaluate(*condition))) return render.run(then);
  for (const auto& other : others) {
    if (truth(render.evaluate(*other->condition))) return render.run(other->then);
  }
  return render.run(otherwise);
}

void If::declare(Symbols& symbols) {
  declare_names(condition.get(), symbols);
  std::vector<Symbols> branches(3, symbols.branch());
  declare_body(then, branches[0]);
  for (const auto& other : others) other->declare(branches[1]);
  declare_body(otherwise, branches[2]);
  symbols.join(branches);
}

void If::bind(Symbols& symbols) {
  bind_names(condition.get(), symbols);
  bind_body(then, symbols);
  for (const auto& other : others) other->bind(symbols);
  bind_body(otherwise, symbols);
}

Flow Set::run(Render& render) const {
  target.assign(render, render.evaluate(*value));
  return Flow::kNext;
}

void Set::declare(Symbols& symbols) {
  declare_names(value.get(), symbols);
  target.declare(symbols);
}

void Set::bind(Symbols& symbols) {
  bind_names(value.get(), symbols);
  target.bind(symbols);
}

Flow Scoped::run(Render& render) const {
  std::vector<Value> given;
  for (const auto& [name, value] : values) given.push_back(render.evaluate(*value));
  scope.enter(render);
  for (size_t i = 0; i < given.size(); ++i) values[i].first.assign(render, given[i]);
  if (filters.empty() && !is_set) return render.run(body);
  Value text = render.capture(body);
  for (const auto& filter : filters) text = filter->apply(render, text);
  if (is_set) {
    target.assign(render, text);
  } else {
    print(render.out(), text);
  }
  return Flow::kNext;
}

void Scoped::declare(Symbols& symbols) {
  for (const auto& [name, value] : values) declare_names(value.get(), symbols);
  for (const auto& filter : filters) declare_names(filter.get(), symbols);
  if (is_set) target.declare(symbols);
}

void Scoped::bind(Symbols& symbols) {
  for (const auto& [name, value] : values) bind_names(value.get(), symbols);
  for (const auto& filter : filters) bind_names(filter.get(), symbols);
  if (is_set) target.bind(symbols);
  Symbols inner(symbols.function(), &symbols, symbols.inputs());
  for (const auto& [name, value] : values) name.declare_parameters(inner);
  declare_body(body, inner);
  for (auto& [name, value] : values) name.bind(inner);
  bind_body(body, inner);
  scope.take(inner);
}

}  // namespace hearth::templates
