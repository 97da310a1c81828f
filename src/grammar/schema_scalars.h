// The texts of null, booleans, numbers and strings that schemas allow: regular languages, whatever the schema.
#pragma once

#include <map>
#include <span>
#include <tuple>
#include <unordered_map>

#include "grammar/char_set.h"
#include "grammar/pattern.h"
#include "grammar/schema_document.h"

namespace hearth::grammar {

class SchemaScalars {
 public:
  SchemaScalars(Regexes& regexes, SchemaDocument& document);

  // JSON texts of a scalar type that satisfy all of the literals; strings without their quotes.
  RegexId language(std::span<const Literal> literals, ValueType type);
  // The same in JSON, and where nothing is asked of it in all usual forms (exponents, escapes).
  RegexId written(std::span<const Literal> literals, ValueType type);
  // The strings that satisfy a schema: names of members.
  RegexId names(const JsonValue& schema);
  // Strings in which a pattern matches.
  RegexId matching(const JsonValue& schema, std::string_view keyword, std::string_view pattern);
  RegexId any_string() const { return any_string_; }

 private:
  // `covering`: not what is written, but at least all texts that are valid; to be taken away from others.
  RegexId one(const JsonValue& schema, ValueType type, bool covering);
  RegexId compute(const JsonValue& schema, ValueType type, bool covering);
  RegexId universe(ValueType type);
  RegexId meet(std::vector<RegexId> parts, ValueType type);
  RegexId value(const JsonValue& value, bool covering);
  void add_number(const JsonValue& schema, bool integer, bool covering, std::vector<RegexId>& parts);
  void add_bound(const JsonValue& schema, const char* name, const char* exclusive, bool upper,
                 std::vector<RegexId>& parts);
  void add_string(const JsonValue& schema, bool covering, std::vector<RegexId>& parts);
  void add_applicators(const JsonValue& schema, ValueType type, bool covering, std::vector<RegexId>& parts);
  RegexId one_of(const std::vector<const JsonValue*>& branches, ValueType type, bool covering);
  RegexId repeated(const PatternLanguage::Repeated& form);

  Regexes& regexes_;
  SchemaDocument& document_;
  RegexId any_string_, number_, free_char_;
  std::map<std::tuple<const JsonValue*, ValueType, bool>, RegexId> known_;
  std::unordered_map<RegexId, PatternLanguage::Repeated> repeated_;  // languages that are so many of some characters
  std::map<std::string, RegexId, std::less<>> patterns_;
};

}  // namespace hearth::grammar
