// What schemas ask of an array or an object, as alternatives (disjunctive normal form): each a list of demands that do
// not depend on each other's outcome. Negation, oneOf, if and dependencies become demands here.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "grammar/schema_document.h"
#include "grammar/schema_scalars.h"

namespace hearth::grammar {

struct SchemaCase {
  // Schemas whose own keywords about properties or items hold, in the order in which they name properties.
  std::vector<const JsonValue*> shapes;
  uint64_t least = 0, most = kUnbounded;  // members or items

  // Objects.
  struct Present {
    std::string name;
    std::optional<Literal> value;
  };
  std::vector<Present> present;
  std::vector<std::string> absent;
  // There is a member with such a name (a language of strings) and value.
  struct Some {
    RegexId names;
    std::optional<Literal> value;
  };
  std::vector<Some> some;

  // Arrays.
  struct At {
    size_t index;
    Literal value;
  };
  std::vector<At> at;  // that item is there and has such a value
  // So many of the items from an index on have such a value.
  struct Contains {
    size_t from;
    Literal value;
    uint64_t least, most;
  };
  std::vector<Contains> contains;
};

class SchemaCases {
 public:
  SchemaCases(Regexes& regexes, SchemaDocument& document, SchemaScalars& scalars)
      : regexes_(regexes), document_(document), scalars_(scalars) {}

  // The ways to satisfy all literals with an array or object (`type`). None: impossible.
  std::vector<SchemaCase> of(std::span<const Literal> literals, ValueType type);

  // What the schemas say about the value of a member, or about an item, in a case.
  std::vector<Literal> member_schemas(const SchemaCase& c, const std::string& name);
  std::vector<Literal> item_schemas(const SchemaCase& c, size_t index);
  // From this index on all items are treated alike.
  size_t prefix(const SchemaCase& c);

 private:
  using Cases = std::vector<SchemaCase>;
  Cases expand(const Literal& literal, ValueType type);
  Cases expand_positive(const JsonValue& schema, ValueType type);
  Cases expand_negative(const JsonValue& schema, ValueType type);
  void negate_object(const JsonValue& schema, Cases& out);
  void negate_array(const JsonValue& schema, Cases& out);
  Cases own(const JsonValue& schema, ValueType type);
  Cases one_of(const JsonValue& schema, ValueType type);
  Cases condition(const JsonValue& schema, ValueType type, bool positive);
  Cases dependencies(const JsonValue& schema);
  Cases product(const Cases& a, const Cases& b, ValueType type, const JsonValue& schema, std::string_view keyword);
  bool impossible(const SchemaCase& c, ValueType type);
  bool surely_false(std::span<const Literal> literals);
  const JsonValue& schema_of(const JsonValue& value);
  RegexId other_names(const JsonValue& schema);

  Regexes& regexes_;
  SchemaDocument& document_;
  SchemaScalars& scalars_;
  std::deque<JsonValue> made_;  // schemas of the members of enum and const
  std::map<const JsonValue*, const JsonValue*> made_for_;
  int depth_ = 0;
};

}  // namespace hearth::grammar
