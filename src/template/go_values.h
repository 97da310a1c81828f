// Values as Go sees them: structs with named fields, and how Go tests, compares, prints and encodes them. Sources:
// pkg.go.dev/fmt, pkg.go.dev/encoding/json, pkg.go.dev/text/template.
#pragma once

#include <span>
#include <string>

#include "template/text_builder.h"

namespace hearth::templates::go {

// Kept in Map::type and List::type. Zero: a map of any values, a slice of any values.
enum Type : uint8_t {
  kPlain = 0,
  kMessage,
  kToolCall,
  kCalledFunction,
  kTool,
  kFunction,
  kParameters,
  kProperty,
  kArguments,     // a map that prints as JSON
  kPropertyMap,   // the same, of properties
  kPropertyList,  // nested properties in their order: templates cannot look inside
  kToolList,      // a slice that prints as JSON
  kTypeNames,     // one name prints as the name
};

struct Field {
  std::string_view name, json;
  bool omit_empty;
};
// Empty for what is no struct.
std::span<const Field> fields_of(uint8_t type);
inline bool is_struct(const Value& value) {
  return value.is(Kind::kMap) && !fields_of(value.as_map().type).empty();
}
// A nil slice or map: empty, and null in JSON.
bool is_nil(const Value& value);
Value nil_list(Budget& budget, uint8_t type = kPlain);
Value nil_map(Budget& budget, uint8_t type);

bool is_true(const Value& value);
std::string go_type(const Value& value);
// The entries of a map by their keys; keys are texts.
std::vector<const Map::Entry*> sorted_entries(const Map& map);

// As %v prints it.
void print(TextBuilder& out, const Value& value, int depth = 0);
void write_json(TextBuilder& out, const Value& value, int depth = 0);
bool prints_as_json(const Value& value);
bool is_type_names(const Value& value);
std::string float_text(double value);

Value print_formatted(Budget& budget, const String& format, std::span<const Value> arguments);  // Sprintf
Value print_all(Budget& budget, std::span<const Value> arguments);                              // Sprint

// The values with {"$int": n} in place of integers, and all other numbers as floats.
Value plain_data(Budget& budget, const Value& json, int depth = 0);

}  // namespace hearth::templates::go
