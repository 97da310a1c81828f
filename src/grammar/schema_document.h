// A schema document: finds what references name, tells paths, and says what is wrong with a schema.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "grammar/json_value.h"
#include "grammar/schema.h"

namespace hearth::grammar {

enum class ValueType : uint8_t { kNull, kBoolean, kNumber, kString, kArray, kObject };

// A schema, or its negation.
struct Literal {
  const JsonValue* schema;
  bool positive = true;
  auto operator<=>(const Literal&) const = default;
};

// Thrown inside the compiler; add_schema() returns it.
struct SchemaFailure {
  Error error;
};

class SchemaDocument {
 public:
  SchemaDocument(const JsonValue& root, const SchemaOptions& options, std::vector<std::string>* warnings);

  const JsonValue& root() const { return root_; }
  const SchemaOptions& options() const { return options_; }
  // Before draft 2019-09 a $ref hides what stands beside it.
  bool ref_hides_siblings() const { return old_; }

  // The keyword's value, if the schema is an object, has it, and $ref does not hide it.
  const JsonValue* keyword(const JsonValue& schema, std::string_view name) const;
  // What its $ref names.
  const JsonValue& target(const JsonValue& schema);
  // Whether its `type` allows the type; with `integer`: numbers, but only whole ones.
  bool allows(const JsonValue& schema, ValueType type, bool* integer);
  // The value of a keyword that is a count; `fallback` if there is none.
  uint64_t count(const JsonValue& schema, std::string_view name, uint64_t fallback);
  // Of a keyword that is a list of schemas, or an object of them.
  std::vector<const JsonValue*> schemas(const JsonValue& schema, std::string_view name);

  // Refuses the schema, or warns and returns, if the options say so.
  void unsupported(const JsonValue& schema, std::string_view keyword, std::string_view why = "is not supported");
  // Always refuses.
  [[noreturn]] void fail(ErrorKind kind, const JsonValue& schema, std::string_view keyword, std::string_view why) const;

  // Refuses what is none and what has keywords that nothing here can hold. Cheap the second time.
  void check(const JsonValue& schema);

 private:
  void index(const JsonValue& schema, const std::string& base, bool is_schema);
  const JsonValue* at_pointer(const JsonValue& from, std::string_view pointer) const;
  std::string path(const JsonValue& schema) const;

  const JsonValue& root_;
  SchemaOptions options_;
  std::vector<std::string>* warnings_;
  bool old_ = false;
  const char* id_keyword_ = "$id";
  std::map<std::string, const JsonValue*> places_;           // by address, with #name for anchors
  std::unordered_map<const JsonValue*, std::string> bases_;  // of schemas with a $ref, where it is not ""
  std::unordered_map<const JsonValue*, const JsonValue*> targets_;
  std::set<const JsonValue*> checked_;
};

// The type of a JSON value.
ValueType type_of(const JsonValue& value);

}  // namespace hearth::grammar
