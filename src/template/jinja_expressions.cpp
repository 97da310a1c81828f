#include "template/jinja_expressions.h"

namespace hearth::templates {
namespace {

void take_names(const ExpressionPtr& expression, const TakeName& take) {
  if (expression != nullptr) expression->each_name(take);
}

Value evaluate_or_missing(Render& render, const ExpressionPtr& expression) {
  return expression != nullptr ? render.evaluate(*expression) : Value();
}

bool compare(Render& render, Comparison::Kind kind, const Value& a, const Value& b) {
  switch (kind) {
    case Comparison::Kind::kEqual:
      return equal(render.budget(), a, b);
    case Comparison::Kind::kNotEqual:
      return !equal(render.budget(), a, b);
    case Comparison::Kind::kLess:
      return less(render.budget(), a, b);
    case Comparison::Kind::kGreater:
      return less(render.budget(), b, a);
    case Comparison::Kind::kLessEqual:
      return less(render.budget(), a, b) || equal(render.budget(), a, b);
    case Comparison::Kind::kGreaterEqual:
      return less(render.budget(), b, a) || equal(render.budget(), a, b);
    case Comparison::Kind::kIn:
      return contains(render, b, a);
    case Comparison::Kind::kNotIn:
      return !contains(render, b, a);
  }
  return false;
}

}  // namespace

void declare_names(Expression* expression, Symbols& symbols) {
  if (expression != nullptr) expression->each_name([&](Name& name) { symbols.load(name.name); });
}

void bind_names(Expression* expression, const Symbols& symbols) {
  if (expression != nullptr) expression->each_name([&](Name& name) { name.address = symbols.address(name.name); });
}

Value Name::evaluate(Render& render) const {
  const Value& value = render.slot(address);
  return value.is_missing() ? Value::undefined(&string) : value;
}

Value SequenceLiteral::evaluate(Render& render) const {
  List* list = render.list(type);
  list->items.reserve(items.size());
  for (const ExpressionPtr& item : items) list->items.push_back(render.evaluate(*item));
  return Value::list(list);
}

void SequenceLiteral::each_name(const TakeName& take) {
  for (const ExpressionPtr& item : items) item->each_name(take);
}

Value Dictionary::evaluate(Render& render) const {
  Map* map = render.budget().make<Map>(render.budget());
  for (const auto& [key, value] : entries) {
    const Value k = render.evaluate(*key);
    map->set(k, render.evaluate(*value));
  }
  return Value::map(map);
}

void Dictionary::each_name(const TakeName& take) {
  for (const auto& [key, value] : entries) {
    key->each_name(take);
    value->each_name(take);
  }
}

Value Unary::evaluate(Render& render) const {
  const Value value = render.evaluate(*operand);
  if (kind == Kind::kNot) return Value::boolean(!truth(value));
  if (kind == Kind::kMinus) return negate(render, value);
  return calculate(render, Operator::kAdd, Value::integer(0), value);
}

Value Arithmetic::evaluate(Render& render) const {
  const Value a = render.evaluate(*left);
  return calculate(render, operation, a, render.evaluate(*right));
}

void Arithmetic::each_name(const TakeName& take) {
  left->each_name(take);
  right->each_name(take);
}

Value Logic::evaluate(Render& render) const {
  const Value value = render.evaluate(*left);
  return truth(value) == is_and ? render.evaluate(*right) : value;
}

void Logic::each_name(const TakeName& take) {
  left->each_name(take);
  right->each_name(take);
}

Value Concatenation::evaluate(Render& render) const {
  const Value first = render.evaluate(*parts[0]);
  TextBuilder out(render.budget());
  if (!first.is(Kind::kString)) print(out, first);
  for (size_t i = 1; i < parts.size(); ++i) print(out, render.evaluate(*parts[i]));
  if (!first.is(Kind::kString)) return out.value();
  return concatenate(render.budget(), first.as_string(), out.value().as_string());
}

void Concatenation::each_name(const TakeName& take) {
  for (const ExpressionPtr& part : parts) part->each_name(take);
}

Value Comparison::evaluate(Render& render) const {
  Value left = render.evaluate(*first);
  for (const auto& [kind, other] : others) {
    const Value right = render.evaluate(*other);
    if (!compare(render, kind, left, right)) return Value::boolean(false);
    left = right;
  }
  return Value::boolean(true);
}

void Comparison::each_name(const TakeName& take) {
  first->each_name(take);
  for (const auto& [kind, other] : others) other->each_name(take);
}

Value Conditional::evaluate(Render& render) const {
  if (truth(render.evaluate(*condition))) return render.evaluate(*then);
  if (otherwise != nullptr) return render.evaluate(*otherwise);
  return Value::undefined(nullptr);
}

void Conditional::each_name(const TakeName& take) {
  condition->each_name(take);
  then->each_name(take);
  take_names(otherwise, take);
}

Value Attribute::evaluate(Render& render) const {
  return attribute(render, render.evaluate(*object), string, methods);
}

Value Item::evaluate(Render& render) const {
  const Value value = render.evaluate(*object);
  return item(render, value, render.evaluate(*key));
}

void Item::each_name(const TakeName& take) {
  object->each_name(take);
  key->each_name(take);
}

Value Slice::evaluate(Render& render) const {
  const Value value = render.evaluate(*object);
  const Value b = evaluate_or_missing(render, begin), e = evaluate_or_missing(render, end);
  return slice(render, value, b, e, evaluate_or_missing(render, step));
}

void Slice::each_name(const TakeName& take) {
  object->each_name(take);
  take_names(begin, take);
  take_names(end, take);
  take_names(step, take);
}

void CallArguments::each_name(const TakeName& take) {
  for (const ExpressionPtr& value : positional) value->each_name(take);
  for (const auto& [name, value] : named) value->each_name(take);
  take_names(more_positional, take);
  take_names(more_named, take);
}

Evaluated::Evaluated(Render& render, const CallArguments& arguments) {
  positional_.reserve(arguments.positional.size());
  for (const ExpressionPtr& value : arguments.positional) positional_.push_back(render.evaluate(*value));
  for (const auto& [name, value] : arguments.named) named_.emplace_back(name, render.evaluate(*value));
  if (arguments.more_positional != nullptr) {
    const List* more = iterate(render, render.evaluate(*arguments.more_positional));
    positional_.insert(positional_.end(), more->items.begin(), more->items.end());
  }
  if (arguments.more_named != nullptr) {
    const Value more = render.evaluate(*arguments.more_named);
    if (!more.is(Kind::kMap)) fail("what follows ** is no map but of type {}", type_name(more));
    for (const Map::Entry& entry : more.as_map().entries) named_.emplace_back(to_text(entry.key).text, entry.value);
  }
}

Value Call::call_with(Render& render, const Value& caller) const {
  // A method is called without making it a value first.
  const auto* method = dynamic_cast<const Attribute*>(function.get());
  const Value self = method != nullptr ? render.evaluate(*method->object) : Value();
  const Builtin builtin = method != nullptr ? method->methods.of(self) : nullptr;
  Value callee;
  if (builtin == nullptr) {
    callee = method != nullptr ? attribute(render, self, method->string, method->methods) : render.evaluate(*function);
  }
  Evaluated values(render, arguments);
  if (!caller.is_missing()) values.add("caller", caller);
  return builtin != nullptr ? builtin(render, self, values.get())
                            : hearth::templates::call(render, callee, values.get());
}

void Call::each_name(const TakeName& take) {
  function->each_name(take);
  arguments.each_name(take);
}

Value Filter::apply(Render& render, const Value& value) const {
  if (builtin == nullptr) fail("there is no filter named '{}'", name);
  const Evaluated values(render, arguments);
  return builtin(render, value, values.get());
}

void Filter::each_name(const TakeName& take) {
  take_names(operand, take);
  arguments.each_name(take);
}

Value TestExpression::evaluate(Render& render) const {
  if (test == nullptr) fail("there is no test named '{}'", name);
  const Value value = render.evaluate(*operand);
  const Evaluated values(render, arguments);
  return Value::boolean(test(render, value, values.get()) != negated);
}

void TestExpression::each_name(const TakeName& take) {
  operand->each_name(take);
  arguments.each_name(take);
}

}  // namespace hearth::templates
