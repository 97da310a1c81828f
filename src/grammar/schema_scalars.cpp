#include "grammar/schema_scalars.h"

#include <algorithm>

#include "base/error.h"
#include "grammar/decimal.h"
#include "grammar/formats.h"

namespace hearth::grammar {
namespace {

constexpr RegexId kInProgress = ~RegexId{0};

}  // namespace

SchemaScalars::SchemaScalars(Regexes& regexes, SchemaDocument& document)
    : regexes_(regexes),
      document_(document),
      any_string_(Regexes::kEmpty),
      number_(plain_number(regexes)),
      free_char_(json_char_freely(regexes)) {
  any_string_ = repeated({CharSet::any(), 0, kUnbounded});
}

RegexId SchemaScalars::repeated(const PatternLanguage::Repeated& form) {
  const RegexId regex = regexes_.repeat(json_char(regexes_, form.chars), form.least, form.most);
  repeated_.emplace(regex, form);
  return regex;
}

RegexId SchemaScalars::universe(ValueType type) {
  switch (type) {
    case ValueType::kNull:
      return regexes_.literal("null");
    case ValueType::kBoolean:
      return regexes_.either(regexes_.literal("true"), regexes_.literal("false"));
    case ValueType::kNumber:
      return number_;
    default:
      return any_string_;
  }
}

// The intersection; of strings that are so many characters of a set, without one.
RegexId SchemaScalars::meet(std::vector<RegexId> parts, ValueType type) {
  std::ranges::sort(parts);
  parts.erase(std::unique(parts.begin(), parts.end()), parts.end());
  if (parts.size() == 1) return parts[0];
  if (type != ValueType::kString) return regexes_.both(std::move(parts));
  PatternLanguage::Repeated all{CharSet::any(), 0, kUnbounded};
  std::vector<RegexId> others;
  for (const RegexId part : parts) {
    const auto form = repeated_.find(part);
    if (form == repeated_.end()) {
      others.push_back(part);
      continue;
    }
    all.chars = all.chars & form->second.chars;
    all.least = std::max(all.least, form->second.least);
    all.most = std::min(all.most, form->second.most);
  }
  if (all.least > all.most) return Regexes::kEmpty;
  const RegexId folded = repeated(all);
  if (others.empty()) return folded;
  if (folded != any_string_) others.push_back(folded);
  return regexes_.both(std::move(others));
}

RegexId SchemaScalars::language(std::span<const Literal> literals, ValueType type) {
  std::vector<RegexId> parts, taken;
  for (const Literal& literal : literals) {
    (literal.positive ? parts : taken).push_back(one(*literal.schema, type, !literal.positive));
  }
  const RegexId texts = parts.empty() ? universe(type) : meet(std::move(parts), type);
  return taken.empty() ? texts : regexes_.without(texts, regexes_.either(std::move(taken)));
}

RegexId SchemaScalars::written(std::span<const Literal> literals, ValueType type) {
  RegexId texts = language(literals, type);
  if (texts == Regexes::kEmpty || !regexes_.alive(texts)) return Regexes::kEmpty;
  if (type == ValueType::kNumber && texts == number_) return any_number(regexes_);
  if (type != ValueType::kString) return texts;
  if (const auto form = repeated_.find(texts); form != repeated_.end() && form->second.chars == CharSet::any()) {
    texts = regexes_.repeat(free_char_, form->second.least, form->second.most);
  }
  const RegexId quote = regexes_.literal("\"");
  return regexes_.concat({quote, texts, quote});
}

RegexId SchemaScalars::names(const JsonValue& schema) {
  const Literal literal{&schema};
  return language({&literal, 1}, ValueType::kString);
}

RegexId SchemaScalars::one(const JsonValue& schema, ValueType type, bool covering) {
  const auto [entry, added] = known_.emplace(std::tuple(&schema, type, covering), kInProgress);
  if (!added) {
    if (entry->second == kInProgress) {
      document_.fail(ErrorKind::kUnsupported, schema, "$ref", "leads back to itself without a value in between");
    }
    return entry->second;
  }
  const RegexId regex = compute(schema, type, covering);
  return known_[{&schema, type, covering}] = regex;
}

RegexId SchemaScalars::compute(const JsonValue& schema, ValueType type, bool covering) {
  document_.check(schema);
  if (schema.is(JsonValue::Type::kBoolean)) return schema.boolean ? universe(type) : Regexes::kEmpty;
  bool integer = false;
  if (!document_.allows(schema, type, &integer)) return Regexes::kEmpty;
  std::vector<RegexId> parts;
  if (const JsonValue* values = document_.keyword(schema, "enum"); values != nullptr) {
    std::vector<RegexId> members;
    for (const JsonValue& member : values->items) {
      if (type_of(member) == type) members.push_back(value(member, covering));
    }
    parts.push_back(regexes_.either(std::move(members)));
  }
  if (const JsonValue* only = document_.keyword(schema, "const"); only != nullptr) {
    parts.push_back(type_of(*only) == type ? value(*only, covering) : Regexes::kEmpty);
  }
  const bool listed = !parts.empty();
  if (type == ValueType::kNumber) add_number(schema, integer, covering, parts);
  if (type == ValueType::kString) add_string(schema, covering, parts);
  add_applicators(schema, type, covering, parts);
  if (std::ranges::find(parts, Regexes::kEmpty) != parts.end()) return Regexes::kEmpty;
  // A listed number may be written in a way that others are not (1e5): alone, it stands for itself. What is asked of
  // strings holds strings only.
  const bool bounded = type == ValueType::kString ? !parts.empty() : listed && parts.size() == 1;
  if (!bounded) parts.push_back(universe(type));
  return meet(std::move(parts), type);
}

// A member of `enum` as it is written there; covering: in all forms.
RegexId SchemaScalars::value(const JsonValue& value, bool covering) {
  if (value.is(JsonValue::Type::kString)) return regexes_.literal(json_escaped(value.text));
  if (!value.is(JsonValue::Type::kNumber)) return regexes_.literal(write_json(value));
  const auto number = Decimal::parse(value.text);
  if (!number) return regexes_.literal(value.text);
  if (covering) return regexes_.both(number_, number_equal(regexes_, *number));
  return regexes_.either(regexes_.literal(value.text), regexes_.literal(number->text()));
}

void SchemaScalars::add_bound(const JsonValue& schema, const char* name, const char* exclusive, bool upper,
                              std::vector<RegexId>& parts) {
  const JsonValue* strict = document_.keyword(schema, exclusive);
  // Draft 4: exclusiveMaximum is true or false, and says what maximum means.
  const bool flag = strict != nullptr && strict->is(JsonValue::Type::kBoolean);
  const auto add = [&](const JsonValue* value, const char* keyword, bool open) {
    if (value == nullptr) return;
    const auto bound = value->is(JsonValue::Type::kNumber) ? Decimal::parse(value->text) : std::nullopt;
    if (!bound) return document_.fail(ErrorKind::kUsage, schema, keyword, "must be a number within 1e400");
    if (bound->whole.size() > 400 || bound->fraction.size() > 400) {
      return document_.unsupported(schema, keyword, "has too many digits");
    }
    const RegexId beyond = upper ? number_below(regexes_, *bound) : number_above(regexes_, *bound);
    parts.push_back(open ? beyond : regexes_.either(beyond, number_equal(regexes_, *bound)));
  };
  add(document_.keyword(schema, name), name, flag && strict->boolean);
  if (!flag) add(strict, exclusive, true);
}

void SchemaScalars::add_number(const JsonValue& schema, bool integer, bool covering, std::vector<RegexId>& parts) {
  if (integer) parts.push_back(covering ? whole_number(regexes_) : plain_integer(regexes_));
  add_bound(schema, "minimum", "exclusiveMinimum", false, parts);
  add_bound(schema, "maximum", "exclusiveMaximum", true, parts);
  const JsonValue* divisor = document_.keyword(schema, "multipleOf");
  if (divisor == nullptr) return;
  const auto number = divisor->is(JsonValue::Type::kNumber) ? Decimal::parse(divisor->text) : std::nullopt;
  if (!number || number->negative || number->zero()) {
    document_.fail(ErrorKind::kUsage, schema, "multipleOf", "must be a number above 0");
  }
  const auto multiples = number_multiple(regexes_, *number);
  if (multiples) {
    parts.push_back(*multiples);
  } else {
    document_.unsupported(schema, "multipleOf", "has more than 17 digits");
  }
}

RegexId SchemaScalars::matching(const JsonValue& schema, std::string_view keyword, std::string_view pattern) {
  if (const auto known = patterns_.find(pattern); known != patterns_.end()) return known->second;
  Result<PatternLanguage> language = compile_pattern(regexes_, pattern, json_char, false);
  if (!language) {
    document_.unsupported(schema, keyword, "cannot be used: " + language.error().message);
    return any_string_;
  }
  RegexId regex = language->regex;
  if (language->repeated) regex = repeated(*language->repeated);
  patterns_.emplace(pattern, regex);
  return regex;
}

void SchemaScalars::add_string(const JsonValue& schema, bool covering, std::vector<RegexId>& parts) {
  const uint64_t least = document_.count(schema, "minLength", 0);
  const uint64_t most = document_.count(schema, "maxLength", kUnbounded);
  if (least > most) return parts.push_back(Regexes::kEmpty);
  if (least > 0 || most < kUnbounded) {
    parts.push_back(repeated({CharSet::any(), static_cast<uint32_t>(least), static_cast<uint32_t>(most)}));
  }
  if (const JsonValue* pattern = document_.keyword(schema, "pattern"); pattern != nullptr) {
    if (!pattern->is(JsonValue::Type::kString))
      document_.fail(ErrorKind::kUsage, schema, "pattern", "must be a string");
    parts.push_back(matching(schema, "pattern", pattern->text));
  }
  const JsonValue* name = document_.keyword(schema, "format");
  const Format* format = name == nullptr ? nullptr : find_format(name->text);
  if (format == nullptr) return;
  const char* pattern = covering ? format->covering : format->form;
  const std::string key = std::string("\n") + pattern;  // whole, unlike those of `pattern`
  auto known = patterns_.find(key);
  if (known == patterns_.end()) {
    const Result<PatternLanguage> language = compile_pattern(regexes_, pattern, json_char, true);
    known = patterns_.emplace(key, language.value().regex).first;
  }
  parts.push_back(known->second);
}

void SchemaScalars::add_applicators(const JsonValue& schema, ValueType type, bool covering,
                                    std::vector<RegexId>& parts) {
  if (schema.find("$ref") != nullptr) parts.push_back(one(document_.target(schema), type, covering));
  for (const JsonValue* branch : document_.schemas(schema, "allOf")) parts.push_back(one(*branch, type, covering));
  if (document_.keyword(schema, "anyOf") != nullptr) {
    std::vector<RegexId> branches;
    for (const JsonValue* branch : document_.schemas(schema, "anyOf")) branches.push_back(one(*branch, type, covering));
    parts.push_back(regexes_.either(std::move(branches)));
  }
  if (document_.keyword(schema, "oneOf") != nullptr) {
    parts.push_back(one_of(document_.schemas(schema, "oneOf"), type, covering));
  }
  if (const JsonValue* inner = document_.keyword(schema, "not"); inner != nullptr) {
    parts.push_back(regexes_.without(universe(type), one(*inner, type, !covering)));
  }
  if (const JsonValue* condition = document_.keyword(schema, "if"); condition != nullptr) {
    const JsonValue* then_schema = document_.keyword(schema, "then");
    const JsonValue* else_schema = document_.keyword(schema, "else");
    const RegexId all = universe(type);
    const RegexId met = regexes_.both(one(*condition, type, covering),
                                      then_schema == nullptr ? all : one(*then_schema, type, covering));
    const RegexId unmet = regexes_.without(all, one(*condition, type, !covering));
    parts.push_back(
        regexes_.either(met, regexes_.both(unmet, else_schema == nullptr ? all : one(*else_schema, type, covering))));
  }
}

// The texts of exactly one branch. What no two share needs no subtraction.
RegexId SchemaScalars::one_of(const std::vector<const JsonValue*>& branches, ValueType type, bool covering) {
  std::vector<RegexId> parts;
  for (const JsonValue* branch : branches) {
    RegexId texts = one(*branch, type, covering);
    for (const JsonValue* other : branches) {
      if (texts == Regexes::kEmpty) break;
      if (other == branch) continue;
      const RegexId taken = one(*other, type, !covering);
      if (regexes_.alive(regexes_.both(texts, taken)))
        texts = regexes_.both({universe(type), texts, regexes_.complement(taken)});
    }
    parts.push_back(texts);
  }
  return regexes_.either(std::move(parts));
}

}  // namespace hearth::grammar
