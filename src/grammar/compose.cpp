#include "grammar/compose.h"

#include "base/check.h"
#include "base/error.h"
#include "grammar/char_set.h"
#include "grammar/gbnf.h"
#include "grammar/pattern.h"

namespace hearth::grammar {
namespace {

constexpr uint32_t kMost_blanks = 4;  // between reasoning and what follows

const char* name_of(TextRule::Kind kind) {
  if (kind == TextRule::Kind::kGbnf) return "grammar";
  return kind == TextRule::Kind::kPattern ? "regular expression" : "schema";
}

class Composer {
 public:
  Composer(const AnswerRules& rules, const TokenTrie& trie, std::vector<std::string>* warnings)
      : rules_(rules), frame_(rules.frames.calls), trie_(trie), warnings_(warnings) {}

  Result<std::shared_ptr<const Grammar>> compile() {
    std::vector<bool> any_arguments(rules_.tools.size());
    for (;;) {
      grammar_ = std::make_shared<Grammar>();
      arguments_.clear();
      ASSIGN_OR_RETURN(const NodeId start, answer(any_arguments));
      const Status finished = grammar_->finish(start);
      if (!replace_impossible(any_arguments)) {
        if (!finished) return finished.error();
        return std::shared_ptr<const Grammar>(grammar_);
      }
    }
  }

 private:
  // Tools that nobody could call, since no arguments satisfy their schemas. Whether there are any.
  bool replace_impossible(std::vector<bool>& any_arguments) {
    bool found = false;
    for (size_t i = 0; i < arguments_.size(); ++i) {
      const ToolRule& tool = rules_.tools[i];
      if (tool.strict || any_arguments[i] || grammar_->productive(arguments_[i])) continue;
      warn(tool, "no text can satisfy it; any object is allowed instead");
      found = any_arguments[i] = true;
    }
    return found;
  }

  void warn(const ToolRule& tool, std::string_view what) {
    if (warnings_ != nullptr) warnings_->push_back(fmt::format("the schema of the tool \"{}\": {}", tool.name, what));
  }

  Result<NodeId> answer(const std::vector<bool>& any_arguments) {
    std::vector<NodeId> ways;
    const bool free = rules_.text.kind == TextRule::Kind::kFree && !rules_.must_call;
    if (!free && !rules_.must_call) {
      ASSIGN_OR_RETURN(const NodeId text, add_text(*grammar_, rules_.text, warnings_));
      ways.push_back(
          grammar_->sequence({written(rules_.frames.text_opens), text, written(rules_.frames.text_closes)}));
    }
    if (!rules_.tools.empty()) {
      ASSIGN_OR_RETURN(const NodeId calls, group(any_arguments));
      ways.push_back(free ? free_text(calls) : grammar_->sequence(written(frame_.opens + frame_.before_name), calls));
    }
    return behind_reasoning(grammar_->choice(std::move(ways)), free);
  }

  // The texts of a frame's part.
  RegexId regex(std::string_view part) {
    const std::string text = trie_.mark_special(part);
    Regexes& regexes = grammar_->regexes;
    RegexId whole = Regexes::kEpsilon;
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find_first_of(kPlaceholders, at), text.size());
      whole = regexes.concat(whole, regexes.literal(std::string_view(text).substr(at, end - at)));
      if (end < text.size()) whole = regexes.concat(whole, placeholder(text[end]));
      at = end + 1;
    }
    return whole;
  }
  RegexId placeholder(char kind) {
    const CharSet digits{{'0', '9'}}, all{{'0', '9'}, {'A', 'Z'}, {'a', 'z'}};
    Regexes& regexes = grammar_->regexes;
    if (kind == CallFrame::kNumber) return regexes.repeat(utf8_char(regexes, digits), 1, 4);
    return regexes.repeat(utf8_char(regexes, all), 9, 9);
  }
  NodeId written(std::string_view part) { return grammar_->term(regex(part)); }

  // Texts that end with `mark` and hold it nowhere else; texts without it.
  RegexId up_to(RegexId mark) {
    Regexes& regexes = grammar_->regexes;
    const RegexId ends = regexes.concat(Regexes::kAll, mark);
    const RegexId byte = regexes.bytes(ByteSet().complement());
    return regexes.without(ends, regexes.concat({ends, byte, Regexes::kAll}));
  }
  RegexId without(RegexId mark) {
    Regexes& regexes = grammar_->regexes;
    return regexes.complement(regexes.concat({Regexes::kAll, mark, Regexes::kAll}));
  }

  NodeId behind_reasoning(NodeId rest, bool free) {
    const ReasoningFrame& frame = rules_.frames.reasoning;
    if (frame.begins == ReasoningFrame::Begins::kNever) return rest;
    Regexes& regexes = grammar_->regexes;
    const RegexId closes = regex(frame.closes);
    RegexId thoughts = up_to(closes);
    if (!free) {
      const CharSet blanks{{' ', ' '}, {'\t', '\t'}, {'\n', '\n'}};
      thoughts = regexes.concat(thoughts, regexes.repeat(utf8_char(regexes, blanks), 0, kMost_blanks));
    }
    NodeId thinking = grammar_->sequence(grammar_->term(thoughts), rest);
    if (free) thinking = grammar_->choice({grammar_->term(without(closes)), thinking});  // it may be all there is
    if (frame.begins == ReasoningFrame::Begins::kOpen) return thinking;
    return grammar_->choice({rest, grammar_->sequence(written(frame.opens), thinking)});
  }

  // Free text with groups of calls behind triggers.
  NodeId free_text(NodeId calls) {
    const std::string begin = frame_.opens + frame_.before_name;
    CHECK(!frame_.trigger.empty() && begin.starts_with(frame_.trigger));
    const RegexId trigger = regex(frame_.trigger);
    const NodeId group = grammar_->sequence(written(begin.substr(frame_.trigger.size())), calls);
    if (frame_.triggers_first) {
      Regexes& regexes = grammar_->regexes;
      const RegexId others = regexes.complement(regexes.concat(trigger, Regexes::kAll));
      return grammar_->choice({grammar_->term(others), grammar_->sequence(grammar_->term(trigger), group)});
    }
    const RuleId text = grammar_->add_rule("text");
    const NodeId again = rules_.most_calls == kUnbounded ? grammar_->rule_node(text) : Grammar::kEpsilon;
    const NodeId called = grammar_->sequence({grammar_->term(up_to(trigger)), group, again});
    grammar_->set_body(text, grammar_->choice({grammar_->term(without(trigger)), called}));
    return grammar_->rule_node(text);
  }

  // A group of calls, from the first one's name on.
  Result<NodeId> group(const std::vector<bool>& any_arguments) {
    std::vector<NodeId> ways;
    for (size_t i = 0; i < rules_.tools.size(); ++i) {
      const ToolRule& tool = rules_.tools[i];
      ASSIGN_OR_RETURN(const NodeId values, any_arguments[i] ? add_any_object(*grammar_) : arguments(tool));
      arguments_.push_back(values);
      Regexes& regexes = grammar_->regexes;
      const RegexId name = regexes.literal(frame_.json_name ? json_escaped(tool.name) : tool.name);
      ways.push_back(grammar_->sequence(
          {grammar_->term(regexes.concat(name, regex(frame_.before_arguments))), values}));
    }
    const NodeId call = grammar_->sequence(grammar_->choice(std::move(ways)), written(frame_.after_arguments));
    const uint32_t more = rules_.most_calls == kUnbounded ? kUnbounded : rules_.most_calls - 1;
    const NodeId next = grammar_->sequence(written(frame_.between + frame_.before_name), call);
    return grammar_->sequence({call, grammar_->repeat(next, 0, more), written(frame_.closes)});
  }

  Result<NodeId> arguments(const ToolRule& tool) {
    if (tool.schema.empty()) return add_any_object(*grammar_);
    const Result<JsonValue> schema = read_json(tool.schema);
    if (!schema) {
      if (tool.strict) {
        return error(ErrorKind::kInvalidData, "the schema of the tool \"{}\" is {}", tool.name, schema.error().message);
      }
      warn(tool, "it is " + schema.error().message + "; any object is allowed instead");
      return add_any_object(*grammar_);
    }
    std::vector<std::string> warnings;
    auto added = add_schema(*grammar_, *schema, {.open_objects = false, .lenient = !tool.strict}, &warnings);
    if (!added) return error(added.error().kind, "the tool \"{}\": {}", tool.name, added.error().message);
    for (const std::string& warning : warnings) warn(tool, warning);
    return added;
  }

  static constexpr char kPlaceholders[] = {CallFrame::kNumber, CallFrame::kNine, '\0'};

  const AnswerRules& rules_;
  const CallFrame& frame_;
  const TokenTrie& trie_;
  std::vector<std::string>* warnings_;
  std::shared_ptr<Grammar> grammar_;
  std::vector<NodeId> arguments_;  // of the tools
};

}  // namespace

Result<NodeId> add_text(Grammar& grammar, const TextRule& rule, std::vector<std::string>* warnings) {
  CHECK(rule.kind != TextRule::Kind::kFree);
  if (rule.kind == TextRule::Kind::kAnyObject) return add_any_object(grammar);
  if (rule.kind == TextRule::Kind::kGbnf) return add_gbnf(grammar, rule.source);
  if (rule.kind == TextRule::Kind::kPattern) {
    ASSIGN_OR_RETURN(const PatternLanguage texts, compile_pattern(grammar.regexes, rule.source, utf8_char, true));
    return grammar.term(texts.regex);
  }
  const Result<JsonValue> schema = read_json(rule.source);
  if (!schema) return error(ErrorKind::kInvalidData, "the schema is {}", schema.error().message);
  return add_schema(grammar, *schema, rule.schema, warnings);
}

Result<std::shared_ptr<const Grammar>> compile_text(const TextRule& rule, std::vector<std::string>* warnings) {
  const auto grammar = std::make_shared<Grammar>();
  ASSIGN_OR_RETURN(const NodeId start, add_text(*grammar, rule, warnings));
  if (const Status finished = grammar->finish(start); !finished)
    return error(finished.error().kind, "the {} cannot be used: {}", name_of(rule.kind), finished.error().message);
  return std::shared_ptr<const Grammar>(grammar);
}

Result<std::shared_ptr<const Grammar>> compile_answer(const AnswerRules& rules, const TokenTrie& trie,
                                                      std::vector<std::string>* warnings) {
  if (rules.must_call && rules.tools.empty())
    return error(ErrorKind::kUsage, "a call is demanded, but there is no tool to call");
  if (rules.free()) return std::shared_ptr<const Grammar>();
  return Composer(rules, trie, warnings).compile();
}

}  // namespace hearth::grammar
