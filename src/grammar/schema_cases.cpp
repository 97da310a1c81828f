#include "grammar/schema_cases.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace hearth::grammar {
namespace {

constexpr size_t kMost_cases = 1500;
constexpr int kMost_depth = 80;

constexpr std::array kObjectKeywords = {"properties",    "patternProperties", "additionalProperties", "required",
                                        "minProperties", "maxProperties",     "propertyNames"};
constexpr std::array kArrayKeywords = {"items", "prefixItems", "additionalItems", "minItems", "maxItems", "contains"};

JsonValue text_value(JsonValue::Type type, std::string text) {
  JsonValue value;
  value.type = type;
  value.text = std::move(text);
  return value;
}

template <class T>
void append(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

bool names(const std::vector<std::string>& list, const std::string& name) {
  return std::ranges::find(list, name) != list.end();
}

}  // namespace

std::vector<SchemaCase> SchemaCases::of(std::span<const Literal> literals, ValueType type) {
  Cases cases(1);
  for (const Literal& literal : literals) {
    cases = product(cases, expand(literal, type), type, *literal.schema, "anyOf");
  }
  return cases;
}

std::vector<SchemaCase> SchemaCases::expand(const Literal& literal, ValueType type) {
  const JsonValue& schema = *literal.schema;
  if (++depth_ > kMost_depth) {
    document_.fail(ErrorKind::kUnsupported, schema, "$ref", "leads back to itself without a value in between");
  }
  document_.check(schema);
  Cases cases;
  if (schema.is(JsonValue::Type::kBoolean)) {
    cases.resize(schema.boolean == literal.positive ? 1 : 0);
  } else {
    cases = literal.positive ? expand_positive(schema, type) : expand_negative(schema, type);
  }
  --depth_;
  return cases;
}

std::vector<SchemaCase> SchemaCases::product(const Cases& a, const Cases& b, ValueType type, const JsonValue& schema,
                                             std::string_view keyword) {
  Cases cases;
  for (const SchemaCase& first : a) {
    for (const SchemaCase& second : b) {
      SchemaCase both = first;
      for (const JsonValue* shape : second.shapes) {
        if (std::ranges::find(both.shapes, shape) == both.shapes.end()) both.shapes.push_back(shape);
      }
      both.least = std::max(both.least, second.least);
      both.most = std::min(both.most, second.most);
      append(both.present, second.present);
      append(both.absent, second.absent);
      append(both.some, second.some);
      append(both.at, second.at);
      append(both.contains, second.contains);
      if (a.size() + b.size() > 2 && impossible(both, type)) continue;
      cases.push_back(std::move(both));
      if (cases.size() > kMost_cases) {
        document_.fail(ErrorKind::kUnsupported, schema, keyword, "has too many combinations of branches");
      }
    }
  }
  return cases;
}

// A schema for a member of `enum`: of an object, with its members in their order.
const JsonValue& SchemaCases::schema_of(const JsonValue& value) {
  const auto [entry, added] = made_for_.emplace(&value, nullptr);
  if (!added) return *entry->second;
  JsonValue schema;
  schema.type = JsonValue::Type::kObject;
  const auto constant = [](const JsonValue& part) {
    JsonValue only;
    only.type = JsonValue::Type::kObject;
    only.members.push_back({"const", part});
    return only;
  };
  const auto add = [&](const char* name, JsonValue part) { schema.members.push_back({name, std::move(part)}); };
  if (value.is(JsonValue::Type::kObject)) {
    JsonValue properties, required;
    properties.type = JsonValue::Type::kObject;
    required.type = JsonValue::Type::kArray;
    for (const auto& [name, member] : value.members) {
      properties.members.push_back({name, constant(member)});
      required.items.push_back(text_value(JsonValue::Type::kString, name));
    }
    JsonValue no;
    no.type = JsonValue::Type::kBoolean;
    add("type", text_value(JsonValue::Type::kString, "object"));
    add("properties", std::move(properties));
    add("required", std::move(required));
    add("additionalProperties", std::move(no));
  } else {
    JsonValue items;
    items.type = JsonValue::Type::kArray;
    for (const JsonValue& item : value.items) items.items.push_back(constant(item));
    const std::string count = std::to_string(value.items.size());
    add("type", text_value(JsonValue::Type::kString, "array"));
    add("prefixItems", std::move(items));
    add("minItems", text_value(JsonValue::Type::kNumber, count));
    add("maxItems", text_value(JsonValue::Type::kNumber, count));
  }
  made_.push_back(std::move(schema));
  made_for_[&value] = &made_.back();
  return made_.back();
}

std::vector<SchemaCase> SchemaCases::own(const JsonValue& schema, ValueType type) {
  SchemaCase c;
  const bool object = type == ValueType::kObject;
  const auto has = [&](const char* name) { return document_.keyword(schema, name) != nullptr; };
  if (object ? std::ranges::any_of(kObjectKeywords, has) : std::ranges::any_of(kArrayKeywords, has)) {
    c.shapes.push_back(&schema);
  }
  c.least = document_.count(schema, object ? "minProperties" : "minItems", 0);
  c.most = document_.count(schema, object ? "maxProperties" : "maxItems", kUnbounded);
  const JsonValue* contained = object ? nullptr : document_.keyword(schema, "contains");
  if (contained != nullptr) {
    const uint64_t least = document_.count(schema, "minContains", 1);
    const uint64_t most = document_.count(schema, "maxContains", kUnbounded);
    if (least > most) return {};
    c.contains.push_back({0, {contained}, least, most});
  }
  if (c.least > c.most) return {};
  return {c};
}

std::vector<SchemaCase> SchemaCases::expand_positive(const JsonValue& schema, ValueType type) {
  bool integer = false;
  if (!document_.allows(schema, type, &integer)) return {};
  Cases cases = own(schema, type);
  const auto meet = [&](const Cases& more, std::string_view keyword) {
    cases = product(cases, more, type, schema, keyword);
  };
  const auto any_of = [&](std::span<const JsonValue* const> branches) {
    Cases all;
    for (const JsonValue* branch : branches) append(all, expand({branch}, type));
    return all;
  };
  for (const auto& [name, value] : schema.members) {
    if (document_.keyword(schema, name) == nullptr) continue;
    if (name == "enum" || name == "const") {
      const std::span<const JsonValue> values = name == "enum" ? std::span(value.items) : std::span(&value, 1);
      Cases members;
      for (const JsonValue& member : values) {
        if (type_of(member) == type) append(members, expand({&schema_of(member)}, type));
      }
      meet(members, name);
    } else if (name == "$ref") {
      meet(expand({&document_.target(schema)}, type), name);
    } else if (name == "allOf") {
      for (const JsonValue* branch : document_.schemas(schema, "allOf")) meet(expand({branch}, type), name);
    } else if (name == "anyOf") {
      meet(any_of(document_.schemas(schema, "anyOf")), name);
    } else if (name == "oneOf") {
      meet(one_of(schema, type), name);
    } else if (name == "not") {
      meet(expand({&value, false}, type), name);
    } else if (name == "if" && (document_.keyword(schema, "then") || document_.keyword(schema, "else"))) {
      meet(condition(schema, type, true), name);
    }
    if (cases.empty()) return cases;
  }
  if (type == ValueType::kObject) {
    const Cases depending = dependencies(schema);
    if (depending.size() != 1 || !depending[0].present.empty() || !depending[0].absent.empty())
      meet(depending, "dependencies");
  }
  return cases;
}

// A branch, and none of the others; those that cannot hold together with it need no negation.
std::vector<SchemaCase> SchemaCases::one_of(const JsonValue& schema, ValueType type) {
  const std::vector<const JsonValue*> branches = document_.schemas(schema, "oneOf");
  Cases all;
  std::vector<Cases> expanded;
  for (const JsonValue* branch : branches) expanded.push_back(expand({branch}, type));
  for (size_t i = 0; i < branches.size(); ++i) {
    Cases cases = expanded[i];
    for (size_t j = 0; j < branches.size() && !cases.empty(); ++j) {
      if (j == i) continue;
      Cases alone, shared;
      for (SchemaCase& c : cases) {
        const bool overlaps = std::ranges::any_of(expanded[j], [&](const SchemaCase& other) {
          const Cases one{c}, two{other};
          return !product(one, two, type, schema, "oneOf").empty() &&
                 !impossible(product(one, two, type, schema, "oneOf")[0], type);
        });
        (overlaps ? shared : alone).push_back(std::move(c));
      }
      if (!shared.empty()) append(alone, product(shared, expand({branches[j], false}, type), type, schema, "oneOf"));
      cases = std::move(alone);
    }
    append(all, cases);
  }
  return all;
}

std::vector<SchemaCase> SchemaCases::condition(const JsonValue& schema, ValueType type, bool positive) {
  const JsonValue* condition = document_.keyword(schema, "if");
  const auto branch = [&](const char* name, bool met) {
    const Cases first = expand({condition, met}, type);
    const JsonValue* then = document_.keyword(schema, name);
    if (then == nullptr) return positive ? first : Cases{};
    return product(first, expand({then, positive}, type), type, schema, "if");
  };
  Cases cases = branch("then", true);
  append(cases, branch("else", false));
  return cases;
}

// For each name: it is absent, or what depends on it holds.
std::vector<SchemaCase> SchemaCases::dependencies(const JsonValue& schema) {
  Cases cases(1);
  for (const char* keyword : {"dependencies", "dependentRequired", "dependentSchemas"}) {
    const JsonValue* all = document_.keyword(schema, keyword);
    if (all == nullptr) continue;
    for (const auto& [name, dependent] : all->members) {
      const bool nothing = dependent.is(JsonValue::Type::kBoolean)
                               ? dependent.boolean
                               : dependent.items.empty() && dependent.members.empty();
      if (nothing) continue;
      Cases met(1);
      met[0].present.push_back({name, std::nullopt});
      if (dependent.is(JsonValue::Type::kArray)) {
        for (const JsonValue& other : dependent.items) met[0].present.push_back({other.text, std::nullopt});
        // Neither order is declared: both.
        met.push_back(met[0]);
        std::rotate(met[1].present.begin(), met[1].present.begin() + 1, met[1].present.end());
      } else {
        met = product(met, expand({&dependent}, ValueType::kObject), ValueType::kObject, schema, keyword);
      }
      Cases both(1);
      both[0].absent.push_back(name);
      append(both, met);
      cases = product(cases, both, ValueType::kObject, schema, keyword);
    }
  }
  return cases;
}

// One of the keywords does not hold.
std::vector<SchemaCase> SchemaCases::expand_negative(const JsonValue& schema, ValueType type) {
  bool integer = false;
  if (!document_.allows(schema, type, &integer)) return Cases(1);
  Cases out;
  for (const auto& [name, value] : schema.members) {
    if (document_.keyword(schema, name) == nullptr) continue;
    if (name == "enum" || name == "const") {
      const std::span<const JsonValue> values = name == "enum" ? std::span(value.items) : std::span(&value, 1);
      Cases none(1);
      for (const JsonValue& member : values) {
        if (type_of(member) == type)
          none = product(none, expand({&schema_of(member), false}, type), type, schema, name);
      }
      append(out, none);
    } else if (name == "$ref") {
      append(out, expand({&document_.target(schema), false}, type));
    } else if (name == "allOf") {
      for (const JsonValue* branch : document_.schemas(schema, "allOf")) append(out, expand({branch, false}, type));
    } else if (name == "anyOf" || name == "oneOf") {
      const std::vector<const JsonValue*> branches = document_.schemas(schema, name);
      Cases none(1);
      for (const JsonValue* branch : branches) none = product(none, expand({branch, false}, type), type, schema, name);
      append(out, none);
      for (size_t i = 0; name == "oneOf" && i < branches.size(); ++i) {
        for (size_t j = i + 1; j < branches.size(); ++j) {
          append(out, product(expand({branches[i]}, type), expand({branches[j]}, type), type, schema, name));
        }
      }
    } else if (name == "not") {
      append(out, expand({&value}, type));
    } else if (name == "if") {
      append(out, condition(schema, type, false));
    }
    if (out.size() > kMost_cases)
      document_.fail(ErrorKind::kUnsupported, schema, name, "has too many combinations of branches");
  }
  type == ValueType::kObject ? negate_object(schema, out) : negate_array(schema, out);
  return out;
}

// The names that neither `properties` nor `patternProperties` speaks of.
RegexId SchemaCases::other_names(const JsonValue& schema) {
  std::vector<RegexId> spoken;
  if (const JsonValue* properties = document_.keyword(schema, "properties"); properties != nullptr) {
    for (const auto& [name, value] : properties->members) spoken.push_back(regexes_.literal(json_escaped(name)));
    if (properties->find("") != nullptr) spoken.push_back(Regexes::kEpsilon);
  }
  if (const JsonValue* patterns = document_.keyword(schema, "patternProperties"); patterns != nullptr) {
    for (const auto& [pattern, value] : patterns->members)
      spoken.push_back(scalars_.matching(schema, "patternProperties", pattern));
  }
  return regexes_.without(scalars_.any_string(), regexes_.either(std::move(spoken)));
}

void SchemaCases::negate_object(const JsonValue& schema, Cases& out) {
  const auto add = [&]() -> SchemaCase& { return out.emplace_back(); };
  if (const JsonValue* required = document_.keyword(schema, "required"); required != nullptr) {
    for (const JsonValue& name : required->items) add().absent.push_back(name.text);
  }
  if (const JsonValue* properties = document_.keyword(schema, "properties"); properties != nullptr) {
    for (const auto& [name, value] : properties->members) {
      if (!(value.is(JsonValue::Type::kBoolean) && value.boolean))
        add().present.push_back({name, Literal{&value, false}});
    }
  }
  if (const JsonValue* patterns = document_.keyword(schema, "patternProperties"); patterns != nullptr) {
    for (const auto& [pattern, value] : patterns->members) {
      add().some.push_back({scalars_.matching(schema, "patternProperties", pattern), Literal{&value, false}});
    }
  }
  const JsonValue* others = document_.keyword(schema, "additionalProperties");
  if (others != nullptr && !(others->is(JsonValue::Type::kBoolean) && others->boolean)) {
    add().some.push_back({other_names(schema), Literal{others, false}});
  }
  if (const JsonValue* allowed = document_.keyword(schema, "propertyNames"); allowed != nullptr) {
    const Literal not_allowed{allowed, false};
    add().some.push_back({scalars_.language({&not_allowed, 1}, ValueType::kString), std::nullopt});
  }
  const uint64_t least = document_.count(schema, "minProperties", 0);
  const uint64_t most = document_.count(schema, "maxProperties", kUnbounded);
  if (least > 0) add().most = least - 1;
  if (most < kUnbounded) add().least = most + 1;
  for (const char* keyword : {"dependencies", "dependentRequired", "dependentSchemas"}) {
    const JsonValue* all = document_.keyword(schema, keyword);
    if (all == nullptr) continue;
    for (const auto& [name, dependent] : all->members) {
      Cases present(1);
      present[0].present.push_back({name, std::nullopt});
      Cases unmet;
      if (dependent.is(JsonValue::Type::kArray)) {
        for (const JsonValue& other : dependent.items) unmet.emplace_back().absent.push_back(other.text);
      } else {
        unmet = expand({&dependent, false}, ValueType::kObject);
      }
      append(out, product(present, unmet, ValueType::kObject, schema, keyword));
    }
  }
}

void SchemaCases::negate_array(const JsonValue& schema, Cases& out) {
  const auto add = [&]() -> SchemaCase& { return out.emplace_back(); };
  SchemaCase alone;
  alone.shapes.push_back(&schema);
  const JsonValue* items = document_.keyword(schema, "items");
  const JsonValue* first = document_.keyword(schema, "prefixItems");
  const JsonValue* rest = items;
  if (items != nullptr && items->is(JsonValue::Type::kArray)) {
    first = items;
    rest = document_.keyword(schema, "additionalItems");
  }
  const size_t count = first == nullptr ? 0 : first->items.size();
  for (size_t i = 0; i < count; ++i) add().at.push_back({i, {&first->items[i], false}});
  if (rest != nullptr) add().contains.push_back({count, {rest, false}, 1, kUnbounded});
  const uint64_t least = document_.count(schema, "minItems", 0), most = document_.count(schema, "maxItems", kUnbounded);
  if (least > 0) add().most = least - 1;
  if (most < kUnbounded) add().least = most + 1;
  if (const JsonValue* contained = document_.keyword(schema, "contains"); contained != nullptr) {
    const uint64_t fewest = document_.count(schema, "minContains", 1);
    const uint64_t highest = document_.count(schema, "maxContains", kUnbounded);
    if (fewest > 0) add().contains.push_back({0, {contained}, 0, fewest - 1});
    if (highest < kUnbounded) add().contains.push_back({0, {contained}, highest + 1, kUnbounded});
  }
}

std::vector<Literal> SchemaCases::member_schemas(const SchemaCase& c, const std::string& name) {
  std::vector<Literal> found;
  for (const JsonValue* shape : c.shapes) {
    bool spoken = false;
    if (const JsonValue* properties = document_.keyword(*shape, "properties"); properties != nullptr) {
      if (const JsonValue* value = properties->find(name); value != nullptr) {
        found.push_back({value});
        spoken = true;
      }
    }
    if (const JsonValue* patterns = document_.keyword(*shape, "patternProperties"); patterns != nullptr) {
      for (const auto& [pattern, value] : patterns->members) {
        if (!regexes_.matches(scalars_.matching(*shape, "patternProperties", pattern), json_escaped(name))) continue;
        found.push_back({&value});
        spoken = true;
      }
    }
    const JsonValue* others = document_.keyword(*shape, "additionalProperties");
    if (!spoken && others != nullptr) found.push_back({others});
  }
  for (const SchemaCase::Present& present : c.present) {
    if (present.name == name && present.value) found.push_back(*present.value);
  }
  return found;
}

size_t SchemaCases::prefix(const SchemaCase& c) {
  size_t longest = 0;
  for (const JsonValue* shape : c.shapes) {
    for (const char* keyword : {"prefixItems", "items"}) {
      const JsonValue* list = document_.keyword(*shape, keyword);
      if (list != nullptr && list->is(JsonValue::Type::kArray)) longest = std::max(longest, list->items.size());
    }
  }
  for (const SchemaCase::At& at : c.at) longest = std::max(longest, at.index + 1);
  for (const SchemaCase::Contains& contains : c.contains) longest = std::max(longest, contains.from);
  return longest;
}

std::vector<Literal> SchemaCases::item_schemas(const SchemaCase& c, size_t index) {
  std::vector<Literal> found;
  for (const JsonValue* shape : c.shapes) {
    const JsonValue* first = document_.keyword(*shape, "prefixItems");
    const JsonValue* rest = document_.keyword(*shape, "items");
    if (rest != nullptr && rest->is(JsonValue::Type::kArray)) {
      first = rest;
      rest = document_.keyword(*shape, "additionalItems");
    }
    if (first != nullptr && index < first->items.size()) {
      found.push_back({&first->items[index]});
    } else if (rest != nullptr) {
      found.push_back({rest});
    }
  }
  for (const SchemaCase::At& at : c.at) {
    if (at.index == index) found.push_back(at.value);
  }
  return found;
}

// Whether no value satisfies the literals, as far as a short look tells.
bool SchemaCases::surely_false(std::span<const Literal> literals) {
  for (const Literal& literal : literals) {
    if (literal.schema->is(JsonValue::Type::kBoolean) && literal.schema->boolean != literal.positive) return true;
  }
  for (const ValueType type : {ValueType::kNull, ValueType::kBoolean, ValueType::kNumber, ValueType::kString}) {
    const RegexId texts = scalars_.language(literals, type);
    if (texts != Regexes::kEmpty && regexes_.alive(texts)) return false;
  }
  for (const ValueType type : {ValueType::kArray, ValueType::kObject}) {
    const bool excluded = std::ranges::any_of(literals, [&](const Literal& literal) {
      bool integer = false;
      const JsonValue* at = literal.schema;
      for (int i = 0; i < 20 && at->find("$ref") != nullptr && at->members.size() == 1; ++i)
        at = &document_.target(*at);
      if (!literal.positive)
        return at->members.size() == 1 && document_.keyword(*at, "type") != nullptr &&
               document_.allows(*at, type, &integer);
      if (!document_.allows(*at, type, &integer)) return true;
      const JsonValue* values = document_.keyword(*at, "enum");
      const JsonValue* only = document_.keyword(*at, "const");
      const auto other = [&](const JsonValue& value) { return type_of(value) != type; };
      return (values != nullptr && std::ranges::all_of(values->items, other)) || (only != nullptr && other(*only));
    });
    if (!excluded) return false;
  }
  return true;
}

bool SchemaCases::impossible(const SchemaCase& c, ValueType type) {
  if (c.least > c.most) return true;
  if (type == ValueType::kArray) {
    return std::ranges::any_of(
        c.at, [&](const SchemaCase::At& at) { return at.index >= c.most || surely_false(item_schemas(c, at.index)); });
  }
  std::vector<std::string> required;
  for (const SchemaCase::Present& present : c.present) required.push_back(present.name);
  for (const JsonValue* shape : c.shapes) {
    const JsonValue* list = document_.keyword(*shape, "required");
    if (list == nullptr || !list->is(JsonValue::Type::kArray)) continue;
    for (const JsonValue& name : list->items) required.push_back(name.text);
  }
  std::ranges::sort(required);
  required.erase(std::unique(required.begin(), required.end()), required.end());
  if (required.size() > c.most) return true;
  return std::ranges::any_of(required, [&](const std::string& name) {
    return names(c.absent, name) || surely_false(member_schemas(c, name));
  });
}

}  // namespace hearth::grammar
