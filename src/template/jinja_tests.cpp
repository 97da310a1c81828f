// The tests: what may follow `is`.
#include <cmath>
#include <unordered_map>

#include "template/jinja_builtins.h"
#include "template/jinja_string_methods.h"

namespace hearth::templates {
namespace {

template <Kind kKind>
bool has_kind(Render&, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  return self.is(kKind);
}
bool is_defined(Render&, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  return !self.is(Kind::kUndefined) && !self.is_missing();
}
bool is_undefined(Render& render, const Value& self, const Arguments& arguments) {
  return !is_defined(render, self, arguments);
}
bool is_integer(Render&, const Value& self, const Arguments&) {
  return self.is(Kind::kInt) || self.is(Kind::kBig);
}
bool is_number(Render&, const Value& self, const Arguments&) {
  return self.is_number();
}
bool is_true(Render&, const Value& self, const Arguments&) {
  return self.is(Kind::kBool) && self.as_bool();
}
bool is_false(Render&, const Value& self, const Arguments&) {
  return self.is(Kind::kBool) && !self.as_bool();
}

bool is_sequence(Render&, const Value& self, const Arguments&) {
  if (self.is(Kind::kList)) return self.as_list().sequence <= Sequence::kRange;
  return self.is(Kind::kString) || self.is(Kind::kMap) || self.is(Kind::kUndefined);
}
bool is_iterable(Render&, const Value& self, const Arguments&) {
  return self.is(Kind::kList) || self.is(Kind::kString) || self.is(Kind::kMap) || self.is(Kind::kUndefined);
}
bool is_callable(Render&, const Value& self, const Arguments&) {
  return self.is(Kind::kUndefined) || (self.is(Kind::kObject) && self.as_object().callable());
}

// value % divisor == rest, for numbers.
bool has_rest(Render& render, const Value& value, const Value& divisor, int64_t rest) {
  if (!value.is_number()) fail("a number is expected, not a value of type '{}'", type_name(value));
  const Value got = calculate(render, Operator::kModulo, value, divisor);
  return equal(render.budget(), got, Value::integer(rest));
}
bool is_odd(Render& render, const Value& self, const Arguments&) {
  return has_rest(render, self, Value::integer(2), 1);
}
bool is_even(Render& render, const Value& self, const Arguments&) {
  return has_rest(render, self, Value::integer(2), 0);
}
bool is_divisible(Render& render, const Value& self, const Arguments& arguments) {
  const auto [divisor] = bind_arguments<1>(arguments, {"num"}, 1);
  return has_rest(render, self, divisor, 0);
}

bool is_lower(Render& render, const Value& self, const Arguments&) {
  return has_case(to_string(render.budget(), self).text(), false);
}
bool is_upper(Render& render, const Value& self, const Arguments&) {
  return has_case(to_string(render.budget(), self).text(), true);
}

bool is_same(Render& render, const Value& self, const Arguments& arguments) {
  const auto [other] = bind_arguments<1>(arguments, {"other"}, 1);
  if (self.kind() != other.kind()) return false;
  if (self.kind() <= Kind::kString) return equal(render.budget(), self, other);
  return self.identity() == other.identity();
}

enum class Order : uint8_t { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual };
template <Order kOrder>
bool compares(Render& render, const Value& self, const Arguments& arguments) {
  const auto [other] = bind_arguments<1>(arguments, {"other"}, 1);
  Budget& budget = render.budget();
  const bool same = kOrder == Order::kLess || kOrder == Order::kGreater ? false : equal(budget, self, other);
  if (kOrder == Order::kEqual) return same;
  if (kOrder == Order::kNotEqual) return !same;
  const bool below = kOrder == Order::kLess || kOrder == Order::kLessEqual;
  return below ? less(budget, self, other) || same : less(budget, other, self) || same;
}

bool is_in(Render& render, const Value& self, const Arguments& arguments) {
  const auto [container] = bind_arguments<1>(arguments, {"seq"}, 1);
  return contains(render, container, self);
}
// What is no text names no filter and no test; what may be changed cannot be looked up at all.
template <auto kFind>
bool names(Render&, const Value& self, const Arguments&) {
  if (self.is(Kind::kString)) return kFind(self.text()) != nullptr;
  const bool list = self.is(Kind::kList) && self.as_list().sequence == Sequence::kList;
  if (list || self.is(Kind::kMap)) fail("a text is expected, not a value of type '{}'", type_name(self));
  return false;
}
bool is_escaped(Render&, const Value& self, const Arguments&) {
  return self.is(Kind::kString) && self.as_string().markup;
}

}  // namespace

Test find_test(std::string_view name) {
  static const std::unordered_map<std::string_view, Test> kTests = {{"defined", is_defined},
                                                                    {"undefined", is_undefined},
                                                                    {"none", has_kind<Kind::kNone>},
                                                                    {"boolean", has_kind<Kind::kBool>},
                                                                    {"string", has_kind<Kind::kString>},
                                                                    {"float", has_kind<Kind::kFloat>},
                                                                    {"mapping", has_kind<Kind::kMap>},
                                                                    {"integer", is_integer},
                                                                    {"number", is_number},
                                                                    {"true", is_true},
                                                                    {"false", is_false},
                                                                    {"sequence", is_sequence},
                                                                    {"iterable", is_iterable},
                                                                    {"callable", is_callable},
                                                                    {"odd", is_odd},
                                                                    {"even", is_even},
                                                                    {"divisibleby", is_divisible},
                                                                    {"lower", is_lower},
                                                                    {"upper", is_upper},
                                                                    {"sameas", is_same},
                                                                    {"in", is_in},
                                                                    {"filter", names<find_filter>},
                                                                    {"test", names<find_test>},
                                                                    {"escaped", is_escaped},
                                                                    {"eq", compares<Order::kEqual>},
                                                                    {"equalto", compares<Order::kEqual>},
                                                                    {"==", compares<Order::kEqual>},
                                                                    {"ne", compares<Order::kNotEqual>},
                                                                    {"!=", compares<Order::kNotEqual>},
                                                                    {"lt", compares<Order::kLess>},
                                                                    {"lessthan", compares<Order::kLess>},
                                                                    {"<", compares<Order::kLess>},
                                                                    {"le", compares<Order::kLessEqual>},
                                                                    {"<=", compares<Order::kLessEqual>},
                                                                    {"gt", compares<Order::kGreater>},
                                                                    {"greaterthan", compares<Order::kGreater>},
                                                                    {">", compares<Order::kGreater>},
                                                                    {"ge", compares<Order::kGreaterEqual>},
                                                                    {">=", compares<Order::kGreaterEqual>}};
  const auto found = kTests.find(name);
  return found == kTests.end() ? nullptr : found->second;
}

}  // namespace hearth::templates
