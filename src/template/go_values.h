// Values as Go sees them: structs with named fields, and how Go tests, compares, prints and encodes them. Sources:
// pkg.go.dev/fmt, pkg.go.dev/encoding/json, pkg.go.dev/text/template.
#pragma once

#include <span>
#include <string>

#include "template/text_builder.h"

namespace hearth::templates::go {

struct Field {
  std::string_view name, json;
  bool omit_empty;
};
// What a map or a slice is where it is more than a map or slice of any values: whoever makes the data says so.
struct Type {
  std::span<const Field> fields = {};  // not empty: a struct
  bool is_pointer = false;             // to a struct: it can be compared
  bool is_closed = false;              // templates cannot look inside; JSON keeps the order of its entries
  bool prints_as_json = false;
  bool one_stands_alone = false;  // a slice that prints its item without brackets if it has one
};
inline bool is_struct(const Value& value) {
  return value.is(Kind::kMap) && value.as_map().go_type != nullptr && !value.as_map().go_type->fields.empty();
}
inline bool is_closed(const Value& value) {
  return value.is(Kind::kMap) && value.as_map().go_type != nullptr && value.as_map().go_type->is_closed;
}
// A map whose entries a template can count and go through.
inline bool is_open_map(const Value& value) {
  return value.is(Kind::kMap) && !is_struct(value) && !is_closed(value);
}
// A nil slice or map: empty, and null in JSON.
bool is_nil(const Value& value);
// Types must outlive the values.
Value nil_list(Budget& budget, const Type* type = nullptr);
Value nil_map(Budget& budget, const Type* type);

bool is_true(const Value& value);
std::string go_type(const Value& value);
// The entries of a map by their keys; keys are texts.
std::vector<const Map::Entry*> sorted_entries(const Map& map);

// As %v prints it.
void print(TextBuilder& out, const Value& value, int depth = 0);
void write_json(TextBuilder& out, const Value& value, int depth = 0);
bool prints_as_json(const Value& value);
bool one_stands_alone(const Value& value);
std::string float_text(double value);

Value print_formatted(Budget& budget, const String& format, std::span<const Value> arguments);  // Sprintf
Value print_all(Budget& budget, std::span<const Value> arguments);                              // Sprint

// The values with {"$int": n} in place of integers, and all other numbers as floats.
Value plain_data(Budget& budget, const Value& json, int depth = 0);

}  // namespace hearth::templates::go
