// What Jinja's templates may call: operators, lookups, methods, filters, tests and global functions.
#pragma once

#include <array>
#include <string_view>

#include "template/render.h"

namespace hearth::templates {

// `self`: the value a method belongs to, or that a filter was given.
using Builtin = Value (*)(Render& render, const Value& self, const Arguments& arguments);
using Test = bool (*)(Render& render, const Value& self, const Arguments& arguments);

// Null where there is none of that name.
Builtin find_filter(std::string_view name);
Test find_test(std::string_view name);
// Which types have a method of a name.
struct Methods {
  Builtin string = nullptr, list = nullptr, map = nullptr, number = nullptr;

  // The one of `value`'s type; null if there is none.
  Builtin of(const Value& value) const;
};
Methods find_methods(std::string_view name);
// kMissing where there is none.
Value find_global(Budget& budget, std::string_view name);

// value.name: a method, an attribute, or the entry of a map; undefined where there is none.
Value attribute(Render& render, const Value& value, const String& name, const Methods& methods);
// The same for a name that was not known when the template was compiled.
Value attribute(Render& render, const Value& value, const String& name);
Value item(Render& render, const Value& value, const Value& key);
Value slice(Render& render, const Value& value, const Value& begin, const Value& end, const Value& step);
Value call(Render& render, const Value& function, const Arguments& arguments);

// What a loop goes through: the list itself, a map's keys, a text's characters, nothing for an undefined value.
// A generator gives its items away.
List* iterate(Render& render, const Value& value);
// The number of items or characters.
int64_t length(Render& render, const Value& value);
bool contains(Render& render, const Value& container, const Value& value);

enum class Operator : uint8_t { kAdd, kSubtract, kMultiply, kDivide, kFloorDivide, kModulo, kPower };
Value calculate(Render& render, Operator operation, const Value& a, const Value& b);
Value negate(Render& render, const Value& value);
// '%s is %d' % values, with a tuple, a map or one value.
Value format_percent(Render& render, const String& format, const Value& values);
// '{} {name:>5}'.format(...).
Value format_braces(Render& render, const String& format, const Arguments& arguments);
// Letters of strftime, English names.
std::string format_time(const std::tm& time, std::string_view format);

// The arguments of a call by the names of the parameters; those not given are missing. Fails for others.
template <size_t N>
std::array<Value, N> bind_arguments(const Arguments& arguments, const std::array<std::string_view, N>& names,
                                    size_t required = 0) {
  std::array<Value, N> bound;
  if (arguments.positional.size() > N) {
    fail("there are {} arguments too many in a call", arguments.positional.size() - N);
  }
  for (size_t i = 0; i < arguments.positional.size(); ++i) bound[i] = arguments.positional[i];
  for (const auto& [name, value] : arguments.named) {
    const auto at = static_cast<size_t>(std::find(names.begin(), names.end(), name) - names.begin());
    if (at == N) fail("there is no parameter named '{}'", name);
    if (!bound[at].is_missing()) fail("the argument '{}' is given twice", name);
    bound[at] = value;
  }
  for (size_t i = 0; i < required; ++i) {
    if (bound[i].is_missing()) fail("the argument '{}' is missing in a call", names[i]);
  }
  return bound;
}

// The integer in `value`; `otherwise` if it is missing or None. Fails for others.
int64_t integer_or(const Value& value, int64_t otherwise);
int64_t to_integer(const Value& value);
const String& to_text(const Value& value);  // fails for what is no text

}  // namespace hearth::templates
