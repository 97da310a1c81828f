// What a request demands of a whole answer, composed into one grammar: reasoning first, then a text of some form, or
// free text in which calls of tools are held to the tools' schemas.
//
//   AnswerRules rules{.frames = how the model writes, .tools = {{"add", R"({"type":"object",...})"}}};
//   ASSIGN_OR_RETURN(std::shared_ptr<const Grammar> grammar, compile_answer(rules, trie, &warnings));
//   request.constraint = make_constraint(grammar, trie);
//
// Free text is free: until a call's trigger stands in it nothing is masked, and the answer may end anywhere. From the
// trigger on the name is one of the tools' and the arguments follow its schema; behind the calls the text is free again.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "grammar/grammar.h"
#include "grammar/schema.h"
#include "grammar/token_trie.h"

namespace hearth::grammar {

// The form of a text.
struct TextRule {
  enum class Kind {
    kFree,
    kAnyObject,  // JSON
    kSchema,     // source: a JSON schema
    kGbnf,       // source: a grammar, see gbnf.h
    kPattern,    // source: a regular expression that the whole text matches, see pattern.h
  };
  Kind kind = Kind::kFree;
  std::string source = {};
  SchemaOptions schema = {};
};

// The texts that stand around a call, as a model's family writes them. In all of them a special token of the vocabulary
// is written as its text; those that end generation are left out, since they may come wherever the answer may end.
// kNumber stands for one to four digits, kNine for nine letters or digits (ids of calls).
struct CallFrame {
  static constexpr char kNumber = '\1', kNine = '\2';

  // What makes free text a call: `opens` and `before_name` begin with it.
  std::string trigger = {};
  bool triggers_first = false;  // only where the answer (behind its reasoning) begins with it
  std::string opens = {};       // a group of calls
  std::string before_name = {}, before_arguments = {}, after_arguments = {};  // each call
  std::string between = {};                                                   // two calls of a group
  std::string closes = {};                                                    // the group
  bool json_name = false;  // the name stands in a JSON string
};

struct ReasoningFrame {
  enum class Begins {
    kNever,
    kMay,   // the answer may begin with `opens`
    kOpen,  // the prompt has opened it
  };
  Begins begins = Begins::kNever;
  std::string opens = {}, closes = {};
};

// How a model writes the parts of an answer.
struct AnswerFrames {
  ReasoningFrame reasoning = {};
  std::string text_opens = {}, text_closes = {};  // around the answer proper, where it is not free
  CallFrame calls = {};
};

struct ToolRule {
  std::string name;
  std::string schema = {};  // of its arguments, a JSON object; empty: any
  // Refused if the schema cannot be held. Otherwise what cannot be is dropped, with a warning: nothing is refused.
  bool strict = false;
};

struct AnswerRules {
  AnswerFrames frames = {};
  TextRule text = {};
  std::vector<ToolRule> tools = {};  // that may be called; a named tool: only that one
  bool must_call = false;            // the answer is calls and nothing else (but reasoning)
  uint32_t most_calls = kUnbounded;

  bool free() const { return text.kind == TextRule::Kind::kFree && tools.empty(); }
};

// Adds the texts of a form that is not free. Errors: those of add_schema(), add_gbnf(), compile_pattern(); kInvalidData.
Result<NodeId> add_text(Grammar& grammar, const TextRule& rule, std::vector<std::string>* warnings);

// A text alone, without a vocabulary. Errors: also kUsage (no text can satisfy it).
Result<std::shared_ptr<const Grammar>> compile_text(const TextRule& rule, std::vector<std::string>* warnings);
inline Result<std::shared_ptr<const Grammar>> compile_schema(std::string_view schema, const SchemaOptions& options,
                                                             std::vector<std::string>* warnings) {
  return compile_text({TextRule::Kind::kSchema, std::string(schema), options}, warnings);
}

// A whole answer; null if everything is free. The frames' special tokens are those of the trie's vocabulary.
// Errors: those of compile_text(); kUsage (calls are demanded of no tools).
Result<std::shared_ptr<const Grammar>> compile_answer(const AnswerRules& rules, const TokenTrie& trie,
                                                      std::vector<std::string>* warnings);

}  // namespace hearth::grammar
