#include "grammar/schema.h"

#include <algorithm>
#include <map>
#include <queue>

#include "base/error.h"
#include "grammar/char_set.h"
#include "grammar/schema_cases.h"
#include "grammar/schema_document.h"
#include "grammar/schema_scalars.h"

namespace hearth::grammar {
namespace {

constexpr size_t kMost_patterns = 8;         // of patternProperties that can hold for one name
constexpr size_t kMost_count_states = 4000;  // of an array whose items are counted
constexpr size_t kMost_rules = 100'000;

// White space is bounded: nothing, a space, or a new line with up to so many spaces or tabs.
constexpr uint32_t kMost_indent = 24;

struct Punctuation {
  RegexId space;        // where a new line may be
  RegexId after_colon;  // nothing or a space
  RegexId comma;

  explicit Punctuation(Regexes& regexes) {
    ByteSet indent;
    indent.add(' '), indent.add('\t');
    const RegexId line = regexes.concat(regexes.literal("\n"), regexes.repeat(regexes.bytes(indent), 0, kMost_indent));
    const RegexId blank = regexes.literal(" ");
    space = regexes.either({Regexes::kEpsilon, blank, line});
    after_colon = regexes.either(Regexes::kEpsilon, blank);
    comma = regexes.concat(regexes.literal(","), space);
  }
};

class Compiler {
 public:
  Compiler(Grammar& grammar, SchemaDocument& document)
      : grammar_(grammar),
        regexes_(grammar.regexes),
        document_(document),
        scalars_(regexes_, document),
        cases_(regexes_, document, scalars_),
        punctuation_(regexes_) {}

  NodeId compile(std::vector<Literal> literals) {
    const NodeId node = goal(std::move(literals));
    while (!todo_.empty()) {
      const auto [rule, wanted] = std::move(todo_.front());
      todo_.pop();
      grammar_.set_body(rule, body(wanted));
    }
    return node;
  }

 private:
  // The values that satisfy all of the literals: a rule, whose body is made later.
  NodeId goal(std::vector<Literal> literals) {
    std::vector<Literal> kept;
    for (const Literal& literal : literals) {
      const JsonValue& schema = *literal.schema;
      const bool all = schema.is(JsonValue::Type::kBoolean)
                           ? schema.boolean
                           : schema.is(JsonValue::Type::kObject) && schema.members.empty();
      if (schema.is(JsonValue::Type::kBoolean) || all) {
        if (all != literal.positive) return Grammar::kNothing;
        continue;
      }
      if (std::ranges::find(kept, literal) == kept.end()) kept.push_back(literal);
    }
    const auto [entry, added] = rules_.emplace(kept, 0);
    if (added) {
      if (rules_.size() > kMost_rules) {
        document_.fail(ErrorKind::kUnsupported, document_.root(), "$ref", "makes too many combinations of schemas");
      }
      entry->second = grammar_.add_rule("value");
      todo_.emplace(entry->second, std::move(kept));
    }
    return grammar_.rule_node(entry->second);
  }

  NodeId body(const std::vector<Literal>& literals) {
    std::vector<RegexId> scalars;
    for (const ValueType type : {ValueType::kNull, ValueType::kBoolean, ValueType::kNumber, ValueType::kString}) {
      scalars.push_back(scalars_.written(literals, type));
    }
    std::vector<NodeId> ways{grammar_.term(regexes_.either(std::move(scalars)))};
    const auto add = [&](std::vector<NodeId> more) { ways.insert(ways.end(), more.begin(), more.end()); };
    for (const SchemaCase& c : cases_.of(literals, ValueType::kArray)) add({array(c)});
    for (const SchemaCase& c : cases_.of(literals, ValueType::kObject)) add(object(c));
    return grammar_.choice(std::move(ways));
  }

  // The objects of a case: several ways if a member must be there without being named.
  std::vector<NodeId> object(const SchemaCase& c) {
    std::vector<std::string> names = declared(c);
    if (!c.some.empty()) return some(c, names);
    return {object(c, names, nullptr)};
  }

  // Names in their order: as `properties` declare them, then as `required` does, then as other demands do.
  std::vector<std::string> declared(const SchemaCase& c) {
    std::vector<std::string> names;
    std::set<std::string> known;
    const auto add = [&](const std::string& name) {
      if (known.insert(name).second) names.push_back(name);
    };
    for (const JsonValue* shape : c.shapes) {
      const JsonValue* properties = document_.keyword(*shape, "properties");
      if (properties == nullptr) continue;
      for (const auto& [name, value] : properties->members) add(name);
    }
    for (const JsonValue* shape : c.shapes) {
      const JsonValue* required = document_.keyword(*shape, "required");
      if (required == nullptr || !required->is(JsonValue::Type::kArray)) continue;
      for (const JsonValue& name : required->items) add(name.text);
    }
    for (const SchemaCase::Present& present : c.present) add(present.name);
    return names;
  }

  std::set<std::string> required(const SchemaCase& c) {
    std::set<std::string> names;
    for (const JsonValue* shape : c.shapes) {
      const JsonValue* list = document_.keyword(*shape, "required");
      if (list == nullptr || !list->is(JsonValue::Type::kArray)) continue;
      for (const JsonValue& name : list->items) names.insert(name.text);
    }
    for (const SchemaCase::Present& present : c.present) names.insert(present.name);
    return names;
  }

  // A member with such a name and value is one of those that are named, or another.
  std::vector<NodeId> some(SchemaCase c, const std::vector<std::string>& names) {
    const SchemaCase::Some wanted = c.some.back();
    c.some.pop_back();
    std::vector<NodeId> ways;
    const auto add = [&](std::vector<NodeId> more) { ways.insert(ways.end(), more.begin(), more.end()); };
    for (const std::string& name : names) {
      if (!regexes_.matches(wanted.names, json_escaped(name))) continue;
      SchemaCase named = c;
      named.present.push_back({name, wanted.value});
      add(object(named));
    }
    if (c.some.empty()) {
      ways.push_back(object(c, names, &wanted));
    } else if (!closed(c)) {
      document_.fail(ErrorKind::kUnsupported, document_.root(), "not", "asks for several unnamed members at once");
    }
    return ways;
  }

  // Whether undeclared members are left out although the schemas allow them.
  bool closed(const SchemaCase& c) {
    if (document_.options().open_objects) return false;
    bool declares = false;
    for (const JsonValue* shape : c.shapes) {
      if (document_.keyword(*shape, "additionalProperties") != nullptr) return false;
      const JsonValue* properties = document_.keyword(*shape, "properties");
      declares |= properties != nullptr && !properties->members.empty();
    }
    return declares;
  }

  RegexId key(RegexId name) {
    const RegexId quote = regexes_.literal("\"");
    return regexes_.concat({quote, name, regexes_.literal("\":"), punctuation_.after_colon});
  }

  NodeId object(const SchemaCase& c, const std::vector<std::string>& names, const SchemaCase::Some* demanded) {
    ObjectRule rule;
    rule.least = static_cast<uint32_t>(c.least);
    rule.most = static_cast<uint32_t>(std::min<uint64_t>(c.most, Grammar::kMost_members));
    if (c.most == kUnbounded) rule.most = kUnbounded;
    rule.comma = punctuation_.comma;
    rule.close_empty = regexes_.literal("}");
    rule.close = regexes_.concat(punctuation_.space, rule.close_empty);
    const RegexId allowed = allowed_names(c);
    const std::set<std::string> needed = required(c);
    std::vector<RegexId> named;
    for (const std::string& name : names) {
      const std::string text = json_escaped(name);
      named.push_back(regexes_.literal(text));
      const bool absent = std::ranges::find(c.absent, name) != c.absent.end() || !regexes_.matches(allowed, text);
      const NodeId value = absent ? Grammar::kNothing : goal(cases_.member_schemas(c, name));
      if (value == Grammar::kNothing && !needed.contains(name)) continue;
      rule.members.push_back({key(regexes_.literal(text)), value, needed.contains(name)});
    }
    for (const std::string& name : c.absent) named.push_back(regexes_.literal(json_escaped(name)));
    add_others(c, allowed, regexes_.complement(regexes_.either(std::move(named))), demanded, rule);
    if (demanded != nullptr && rule.demanded.empty()) return Grammar::kNothing;
    const RegexId open = regexes_.concat(regexes_.literal("{"), punctuation_.space);
    return grammar_.sequence(grammar_.term(open), grammar_.members(std::move(rule)));
  }

  RegexId allowed_names(const SchemaCase& c) {
    std::vector<RegexId> parts;
    for (const JsonValue* shape : c.shapes) {
      if (const JsonValue* names = document_.keyword(*shape, "propertyNames"); names != nullptr) {
        parts.push_back(scalars_.names(*names));
      }
    }
    std::ranges::sort(parts);
    parts.erase(std::unique(parts.begin(), parts.end()), parts.end());
    return parts.empty() ? scalars_.any_string() : regexes_.both(std::move(parts));
  }

  // Members whose names are not in `named`, by which of the patterns hold for them.
  void add_others(const SchemaCase& c, RegexId allowed, RegexId not_named, const SchemaCase::Some* demanded,
                  ObjectRule& rule) {
    std::vector<std::string> patterns;
    std::vector<RegexId> languages;
    for (const JsonValue* shape : c.shapes) {
      const JsonValue* all = document_.keyword(*shape, "patternProperties");
      if (all == nullptr) continue;
      for (const auto& [pattern, value] : all->members) {
        if (std::ranges::find(patterns, pattern) != patterns.end()) continue;
        patterns.push_back(pattern);
        languages.push_back(scalars_.matching(*shape, "patternProperties", pattern));
      }
    }
    const bool is_closed = closed(c);
    std::vector<bool> holds;
    std::vector<RegexId> names{not_named};
    if (allowed != scalars_.any_string()) names.push_back(allowed);
    visit_classes(languages, names, holds, [&](RegexId of_class) {
      if (is_closed && std::ranges::find(holds, true) == holds.end()) return;
      std::vector<Literal> schemas = other_schemas(c, patterns, holds);
      if (demanded != nullptr) {
        std::vector<Literal> wanted = schemas;
        if (demanded->value) wanted.push_back(*demanded->value);
        const RegexId both = regexes_.both(of_class, demanded->names);
        const NodeId value = regexes_.alive(both) ? goal(std::move(wanted)) : Grammar::kNothing;
        if (value != Grammar::kNothing) rule.demanded.push_back({key(both), value, false});
      }
      const NodeId value = goal(std::move(schemas));
      if (value != Grammar::kNothing) rule.others.push_back({key(of_class), value, false});
    });
  }

  // `parts`: languages that have all the names of a class, and complements of such.
  template <class Visit>
  void visit_classes(const std::vector<RegexId>& languages, std::vector<RegexId>& parts, std::vector<bool>& holds,
                     const Visit& visit) {
    const bool bounded = parts.size() > 1 + holds.size() || std::ranges::find(holds, true) != holds.end();
    if (!bounded) parts.push_back(scalars_.any_string());
    const RegexId names = regexes_.both(parts);
    if (!bounded) parts.pop_back();
    if (!regexes_.alive(names)) return;
    if (holds.size() == languages.size()) return visit(names);
    if (languages.size() > kMost_patterns) {
      document_.fail(ErrorKind::kUnsupported, document_.root(), "patternProperties", "has too many patterns");
    }
    const RegexId language = languages[holds.size()];
    for (const bool in : {true, false}) {
      holds.push_back(in);
      parts.push_back(in ? language : regexes_.complement(language));
      visit_classes(languages, parts, holds, visit);
      parts.pop_back();
      holds.pop_back();
    }
  }

  std::vector<Literal> other_schemas(const SchemaCase& c, const std::vector<std::string>& patterns,
                                     const std::vector<bool>& holds) {
    std::vector<Literal> schemas;
    for (const JsonValue* shape : c.shapes) {
      bool spoken = false;
      if (const JsonValue* all = document_.keyword(*shape, "patternProperties"); all != nullptr) {
        for (const auto& [pattern, value] : all->members) {
          const auto at = static_cast<size_t>(std::ranges::find(patterns, pattern) - patterns.begin());
          if (!holds[at]) continue;
          schemas.push_back({&value});
          spoken = true;
        }
      }
      const JsonValue* others = document_.keyword(*shape, "additionalProperties");
      if (!spoken && others != nullptr) schemas.push_back({others});
    }
    return schemas;
  }

  NodeId array(const SchemaCase& c) {
    const NodeId open = grammar_.term(regexes_.concat(regexes_.literal("["), punctuation_.space));
    return grammar_.sequence(open, c.contains.empty() ? plain_items(c) : counted_items(c));
  }

  NodeId close_array(bool empty) {
    const RegexId bracket = regexes_.literal("]");
    return grammar_.term(empty ? bracket : regexes_.concat(punctuation_.space, bracket));
  }

  // From the first item to the closing bracket.
  NodeId plain_items(const SchemaCase& c) {
    uint64_t least = c.least;
    const uint64_t most = c.most;
    for (const SchemaCase::At& at : c.at) least = std::max<uint64_t>(least, at.index + 1);
    if (least > most) return Grammar::kNothing;
    const uint64_t prefix = std::min<uint64_t>(cases_.prefix(c), most);
    const NodeId comma = grammar_.term(punctuation_.comma);
    // Behind the prefix.
    NodeId rest = close_array(prefix == 0);
    if (most > prefix) {
      const NodeId item = goal(cases_.item_schemas(c, prefix));
      const uint64_t fewest = least > prefix ? least - prefix : 0;
      const uint64_t highest = most == kUnbounded ? kUnbounded : most - prefix;
      const auto some = [&](uint64_t low, uint64_t high) {
        return grammar_.repeat(grammar_.sequence(comma, item), static_cast<uint32_t>(low), static_cast<uint32_t>(high));
      };
      if (prefix > 0) {
        rest = grammar_.sequence(some(fewest, highest), rest);
      } else {
        const uint64_t one_less = highest == kUnbounded ? kUnbounded : highest - 1;
        const NodeId filled =
            grammar_.sequence({item, some(fewest > 0 ? fewest - 1 : 0, one_less), close_array(false)});
        rest = fewest > 0 ? filled : grammar_.choice({rest, filled});
      }
    }
    for (uint64_t i = prefix; i-- > 0;) {
      const NodeId item = goal(cases_.item_schemas(c, i));
      const NodeId filled = grammar_.sequence({i == 0 ? Grammar::kEpsilon : comma, item, rest});
      rest = i >= least ? grammar_.choice({close_array(i == 0), filled}) : filled;
    }
    return rest;
  }

  // Some of the items must have a value of a kind: a rule for each length and each number of those so far, as far as
  // they matter.
  NodeId counted_items(const SchemaCase& c) {
    const uint64_t longest = std::max<uint64_t>(cases_.prefix(c), c.least);
    const uint64_t lengths = (c.most == kUnbounded ? longest : c.most) + 1;
    uint64_t states = lengths;
    for (const SchemaCase::Contains& contains : c.contains) {
      states *= (contains.most == kUnbounded ? contains.least : contains.most) + 1;
      if (states > kMost_count_states) {
        document_.unsupported(*contains.value.schema, "contains", "needs too much counting");
        SchemaCase without = c;
        without.contains.clear();
        return plain_items(without);
      }
    }
    if (c.contains.size() > 3)
      document_.fail(ErrorKind::kUnsupported, document_.root(), "contains", "is asked for too often at once");
    std::map<std::vector<uint64_t>, RuleId> rules;
    return counted_from(c, std::vector<uint64_t>(c.contains.size() + 1), rules);
  }

  // `at`: the number of items, and of those that each demand counts.
  NodeId counted_from(const SchemaCase& c, std::vector<uint64_t> at, std::map<std::vector<uint64_t>, RuleId>& rules) {
    const size_t index = at[0];
    bool enough = true;
    for (size_t k = 0; k < c.contains.size(); ++k) enough &= at[k + 1] >= c.contains[k].least;
    for (const SchemaCase::At& demand : c.at) enough &= index > demand.index;
    if (c.most == kUnbounded) at[0] = std::min<uint64_t>(at[0], std::max<uint64_t>({cases_.prefix(c), c.least, 1}));
    for (size_t k = 0; k < c.contains.size(); ++k) {
      if (c.contains[k].most == kUnbounded) at[k + 1] = std::min(at[k + 1], c.contains[k].least);
    }
    const auto [entry, added] = rules.emplace(at, 0);
    if (!added) return grammar_.rule_node(entry->second);
    const RuleId rule = entry->second = grammar_.add_rule("items");
    std::vector<NodeId> ways;
    if (enough && index >= c.least) ways.push_back(close_array(index == 0));
    if (index < c.most) {
      const NodeId comma = index == 0 ? Grammar::kEpsilon : grammar_.term(punctuation_.comma);
      for (size_t chosen = 0; chosen < size_t{1} << c.contains.size(); ++chosen) {
        std::vector<Literal> schemas = cases_.item_schemas(c, index);
        std::vector<uint64_t> next = at;
        ++next[0];
        bool possible = true;
        for (size_t k = 0; k < c.contains.size(); ++k) {
          const SchemaCase::Contains& contains = c.contains[k];
          const bool counts = (chosen >> k & 1) != 0;
          if (index < contains.from) {
            possible &= !counts;
            continue;
          }
          const bool enough_of_it = contains.most == kUnbounded && at[k + 1] >= contains.least;
          if (enough_of_it) {  // either way: one choice is enough
            possible &= !counts;
            continue;
          }
          schemas.push_back({contains.value.schema, contains.value.positive == counts});
          next[k + 1] += counts;
          possible &= next[k + 1] <= contains.most;
        }
        if (!possible) continue;
        const NodeId value = goal(std::move(schemas));
        if (value != Grammar::kNothing) ways.push_back(grammar_.sequence({comma, value, counted_from(c, next, rules)}));
      }
    }
    grammar_.set_body(rule, grammar_.choice(std::move(ways)));
    return grammar_.rule_node(rule);
  }

  Grammar& grammar_;
  Regexes& regexes_;
  SchemaDocument& document_;
  SchemaScalars scalars_;
  SchemaCases cases_;
  Punctuation punctuation_;
  std::map<std::vector<Literal>, RuleId> rules_;
  std::queue<std::pair<RuleId, std::vector<Literal>>> todo_;
};

}  // namespace

Result<NodeId> add_schema(Grammar& grammar, const JsonValue& schema, const SchemaOptions& options,
                          std::vector<std::string>* warnings) {
  try {
    SchemaDocument document(schema, options, warnings);
    return Compiler(grammar, document).compile({{&schema}});
  } catch (const SchemaFailure& failure) {
    if (!options.lenient) return failure.error;
    // What was added before is reached by nothing.
    if (warnings != nullptr) warnings->push_back(failure.error.message + "; any object is allowed instead");
    return add_any_object(grammar);
  }
}

NodeId add_any_value(Grammar& grammar) {
  JsonValue all;
  all.type = JsonValue::Type::kBoolean;
  all.boolean = true;
  return add_schema(grammar, all, {}, nullptr).value();
}

NodeId add_any_object(Grammar& grammar) {
  return add_schema(grammar, read_json(R"({"type":"object"})").value(), {}, nullptr).value();
}

}  // namespace hearth::grammar
