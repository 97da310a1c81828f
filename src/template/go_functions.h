// The functions that Go templates can call: the language's own and those that Ollama adds.
#pragma once

#include <ctime>

#include "template/go_values.h"

namespace hearth::templates::go {

struct CallContext {
  Budget& budget;
  const std::tm& now;
};
using GoFunction = Value (*)(const CallContext& context, std::span<const Value> arguments);

struct FunctionEntry {
  std::string_view name;
  GoFunction run;  // null for `and` and `or`, whose arguments are evaluated as far as needed
  size_t least, most;
};
const FunctionEntry* find_function(std::string_view name);

// value.name; fails where Go does.
Value field(Budget& budget, const Value& value, const std::string& name);

}  // namespace hearth::templates::go
