// Arithmetic as in Python. Integers are 64 bits wide: a result that is larger is an error.
#include <cmath>

#include "template/jinja_string_methods.h"

namespace hearth::templates {
namespace {

constexpr std::string_view kSigns[] = {"+", "-", "*", "/", "//", "%", "**"};

[[noreturn]] void fail_types(Operator operation, const Value& a, const Value& b) {
  if (a.is(Kind::kUndefined)) fail_undefined(a);
  if (b.is(Kind::kUndefined)) fail_undefined(b);
  fail("'{}' does not work between '{}' and '{}'", kSigns[static_cast<size_t>(operation)], type_name(a), type_name(b));
}

[[noreturn]] void fail_large() {
  fail("an integer gets too large");
}

int64_t floor_divide(int64_t a, int64_t b) {
  if (a == INT64_MIN && b == -1) fail_large();
  const int64_t quotient = a / b;
  return a % b != 0 && (a % b < 0) != (b < 0) ? quotient - 1 : quotient;
}

int64_t power(int64_t base, int64_t exponent) {
  int64_t result = 1;
  for (;;) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) fail_large();
    exponent >>= 1;
    if (exponent == 0) return result;
    if (__builtin_mul_overflow(base, base, &base)) fail_large();
  }
}

Value integers(Operator operation, int64_t a, int64_t b) {
  int64_t result = 0;
  switch (operation) {
    case Operator::kAdd:
      if (__builtin_add_overflow(a, b, &result)) fail_large();
      break;
    case Operator::kSubtract:
      if (__builtin_sub_overflow(a, b, &result)) fail_large();
      break;
    case Operator::kMultiply:
      if (__builtin_mul_overflow(a, b, &result)) fail_large();
      break;
    case Operator::kDivide:
      if (b == 0) fail("a number is divided by zero");
      return Value::number(static_cast<double>(a) / static_cast<double>(b));
    case Operator::kFloorDivide:
      if (b == 0) fail("a number is divided by zero");
      result = floor_divide(a, b);
      break;
    case Operator::kModulo:
      if (b == 0) fail("a number is divided by zero");
      result = b == -1 ? 0 : a - floor_divide(a, b) * b;
      break;
    case Operator::kPower:
      if (b < 0) return Value::number(std::pow(static_cast<double>(a), static_cast<double>(b)));
      result = power(a, b);
      break;
  }
  return Value::integer(result);
}

Value floats(Operator operation, double a, double b) {
  const bool divides = operation >= Operator::kDivide && operation <= Operator::kModulo;
  if (divides && b == 0) fail("a number is divided by zero");
  switch (operation) {
    case Operator::kAdd:
      return Value::number(a + b);
    case Operator::kSubtract:
      return Value::number(a - b);
    case Operator::kMultiply:
      return Value::number(a * b);
    case Operator::kDivide:
      return Value::number(a / b);
    case Operator::kFloorDivide:
      return Value::number(std::floor(a / b));
    case Operator::kModulo: {
      const double rest = std::fmod(a, b);
      return Value::number(rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest);
    }
    case Operator::kPower:
      return Value::number(std::pow(a, b));
  }
  return {};
}

Value repeat(Render& render, const Value& value, int64_t times) {
  times = std::max<int64_t>(times, 0);
  const size_t size = value.is(Kind::kString) ? value.text().size() : value.as_list().items.size();
  if (size > 0 && static_cast<uint64_t>(times) > kMaxMemory / size) fail("a repeated value gets too large");
  if (value.is(Kind::kString)) {
    TextBuilder out(render.budget());
    for (int64_t i = 0; i < times && size > 0; ++i) out.append(value.as_string());
    return out.value(value.as_string().markup);
  }
  const auto& items = value.as_list().items;
  List* list = render.list(value.as_list().sequence);
  render.budget().work(size * static_cast<uint64_t>(times));
  for (int64_t i = 0; i < times && size > 0; ++i) list->items.insert(list->items.end(), items.begin(), items.end());
  return Value::list(list);
}

bool is_sequence(const Value& value) {
  return value.is(Kind::kString) || (value.is(Kind::kList) && value.as_list().sequence <= Sequence::kTuple);
}

Value joined_lists(Render& render, const List& a, const List& b) {
  List* list = render.list(a.sequence);
  render.budget().work(a.items.size() + b.items.size());
  list->items.reserve(a.items.size() + b.items.size());
  list->items.assign(a.items.begin(), a.items.end());
  list->items.insert(list->items.end(), b.items.begin(), b.items.end());
  return Value::list(list);
}

}  // namespace

Value calculate(Render& render, Operator operation, const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (a.kind() <= Kind::kInt && b.kind() <= Kind::kInt) return integers(operation, a.as_int(), b.as_int());
    if (a.is(Kind::kFloat) || b.is(Kind::kFloat)) return floats(operation, to_double(a), to_double(b));
    fail_large();
  }
  if (operation == Operator::kAdd) {
    if (a.is(Kind::kString) && b.is(Kind::kString)) {
      if (!a.as_string().markup && !b.as_string().markup) {
        return concatenate(render.budget(), a.as_string(), b.as_string());
      }
      TextBuilder out(render.budget());
      out.append(escaped(render, a.as_string()));
      out.append(escaped(render, b.as_string()));
      return out.value(true);
    }
    if (is_sequence(a) && is_sequence(b) && a.kind() == b.kind() && a.as_list().sequence == b.as_list().sequence) {
      return joined_lists(render, a.as_list(), b.as_list());
    }
  }
  if (operation == Operator::kMultiply && is_sequence(a) && b.is_number()) return repeat(render, a, to_integer(b));
  if (operation == Operator::kMultiply && is_sequence(b) && a.is_number()) return repeat(render, b, to_integer(a));
  if (operation == Operator::kModulo && a.is(Kind::kString)) return format_percent(render, a.as_string(), b);
  fail_types(operation, a, b);
}

Value negate(Render& render, const Value& value) {
  if (value.is(Kind::kFloat)) return Value::number(-value.as_float());
  if (value.is(Kind::kBig)) {
    const std::string_view digits = value.text();
    const std::string text = digits.starts_with('-') ? std::string(digits.substr(1)) : "-" + std::string(digits);
    return Value::big(&make_string(render.budget(), text).as_string());
  }
  return calculate(render, Operator::kSubtract, Value::integer(0), value);
}

}  // namespace hearth::templates
