// A JSON document as a schema needs it: with the order of members and the spelling of numbers. Format: RFC 8259.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace hearth::grammar {

struct JsonMember;

struct JsonValue {
  enum class Type : uint8_t { kNull, kBoolean, kNumber, kString, kArray, kObject };

  Type type = Type::kNull;
  bool boolean = false;
  std::string text;  // of a string, or a number as it was written
  std::vector<JsonValue> items;
  std::vector<JsonMember> members;  // of two with the same name, the last one's value

  bool is(Type other) const { return type == other; }
  const JsonValue* find(std::string_view name) const;  // null if there is none, or it is no object
};

struct JsonMember {
  std::string name;
  JsonValue value;
};

// Errors: kInvalidData (no JSON, or nested more than 500 levels), with the byte.
Result<JsonValue> read_json(std::string_view text);
// Compact JSON in the form that grammars write: json_escaped() strings, numbers as they were written.
std::string write_json(const JsonValue& value);
// The same value, however it is spelled: members in any order, 1 and 1.0.
bool equal(const JsonValue& a, const JsonValue& b);

}  // namespace hearth::grammar
