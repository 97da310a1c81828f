// Whole answers: reasoning, free text, calls of tools.
#include "grammar/compose.h"

#include "grammar/machine.h"
#include "grammar/token_constraint.h"
#include "support/letter_tokenizer.h"
#include "support/support.h"

namespace hearth::grammar {
namespace {

using test::LetterTokenizer;

const LetterTokenizer& letters() {
  static const LetterTokenizer tokenizer;
  return tokenizer;
}
std::shared_ptr<const TokenTrie> trie() {
  static const auto made = std::make_shared<TokenTrie>(letters());
  return made;
}

// Hermes' way, with text as the marker.
const CallFrame kTagged{.trigger = "<tool>",
                        .before_name = "<tool>\n{\"name\": \"",
                        .before_arguments = "\", \"arguments\": ",
                        .after_arguments = "}\n</tool>",
                        .between = "\n",
                        .json_name = true};
// Kimi's way, with a special token, and a number behind the name.
const CallFrame kNumbered{.trigger = "<|call|>",
                          .opens = "<|call|>",
                          .before_name = "[functions.",
                          .before_arguments = ":\1 ",
                          .after_arguments = "]",
                          .closes = "."};

const std::vector<ToolRule> kTools = {
    {"add",
     R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"required":["a","b"]})"},
    {"sub", R"({"type":"object","properties":{"why":{"enum":["x","y"]}},"required":["why"]})"},
};

AnswerRules rules_of(const ReasoningFrame& reasoning, const CallFrame& calls, const TextRule& text,
                     const std::vector<ToolRule>& tools) {
  AnswerRules rules;
  rules.frames.reasoning = reasoning;
  rules.frames.calls = calls;
  rules.text = text;
  rules.tools = tools;
  return rules;
}

std::shared_ptr<const Grammar> compile(const AnswerRules& rules) {
  std::vector<std::string> warnings;
  auto grammar = compile_answer(rules, *trie(), &warnings);
  EXPECT_TRUE(grammar.ok()) << grammar.error().message;
  EXPECT_TRUE(warnings.empty()) << warnings[0];
  return grammar.ok() ? *grammar : nullptr;
}
// Special tokens written as in templates.
bool produces(const std::shared_ptr<const Grammar>& grammar, std::string_view text) {
  Machine machine(grammar, nullptr);
  return machine.accepts(machine.step(machine.start(), trie()->mark_special(text)));
}
bool begins(const std::shared_ptr<const Grammar>& grammar, std::string_view text) {
  Machine machine(grammar, nullptr);
  return machine.step(machine.start(), trie()->mark_special(text)) != Machine::kDead;
}

TEST(Answers, TextIsFreeUntilACallBegins) {
  const auto grammar = compile({.frames = {.calls = kTagged}, .tools = kTools});
  EXPECT_TRUE(produces(grammar, ""));
  EXPECT_TRUE(produces(grammar, "No tool> is <tool needed</think>, \xff\xfe{\"name\": \"none\""));
  EXPECT_TRUE(produces(grammar, "I add: <<tool>\n{\"name\": \"add\", \"arguments\": {\"a\":1,\"b\":-2}}\n</tool>"));
  EXPECT_TRUE(produces(grammar, "<tool>\n{\"name\": \"sub\", \"arguments\": {\"why\":\"x\"}}\n</tool>\n"
                                "<tool>\n{\"name\": \"add\", \"arguments\": {\"a\":1,\"b\":2}}\n</tool> and so on"));
  EXPECT_FALSE(begins(grammar, "<tool>{"));
  EXPECT_FALSE(begins(grammar, "<tool>\n{\"name\": \"mul"));
  EXPECT_FALSE(begins(grammar, "<tool>\n{\"name\": \"add\", \"arguments\": {\"a\":1.5"));
  EXPECT_FALSE(begins(grammar, "<tool>\n{\"name\": \"sub\", \"arguments\": {\"a"));
  EXPECT_FALSE(produces(grammar, "<tool>\n{\"name\": \"sub\", \"arguments\": {\"why\":\"x\"}}"));
  EXPECT_FALSE(begins(grammar, "<tool>\n{\"name\": \"sub\", \"arguments\": {\"why\":\"x\"}}\n</tool> text <tool>?"));
}

TEST(Answers, NothingIsMaskedBeforeACall) {
  const auto constraint = constrain({.frames = {.calls = kTagged}, .tools = kTools}, trie(), nullptr);
  ASSERT_TRUE(constraint.ok());
  std::vector<uint64_t> mask(sampling::mask_words(letters().size()));
  const auto masked = [&] {
    EXPECT_TRUE((*constraint)->allowed(mask).ok());
    std::vector<std::string> texts;
    for (int32_t token = 0; token < static_cast<int32_t>(letters().size()); ++token) {
      if (!sampling::is_set(mask, token)) texts.push_back(letters().piece(token, true));
    }
    return texts;
  };
  EXPECT_EQ(masked(), std::vector<std::string>());
  ASSERT_TRUE((*constraint)->accept(LetterTokenizer::kWords + 0));  // ok<
  EXPECT_EQ(masked(), std::vector<std::string>());                  // "tool>\n" begins a call as it must
  for (const char c : std::string("too")) ASSERT_TRUE((*constraint)->accept(c));
  EXPECT_EQ(masked(), std::vector<std::string>{"l>{"});  // this one does not
  ASSERT_TRUE((*constraint)->accept('l'));
  ASSERT_TRUE((*constraint)->accept('>'));
  std::string forced;
  for (const int32_t token : (*constraint)->forced()) {
    ASSERT_TRUE((*constraint)->accept(token));
    forced += letters().piece(token, false);
  }
  EXPECT_EQ(forced, "\n{\"name\": \"");
  EXPECT_TRUE((*constraint)->is_allowed(LetterTokenizer::kWords + 6));   // add
  EXPECT_FALSE((*constraint)->is_allowed(LetterTokenizer::kWords + 3));  // {"
}

TEST(Answers, ADemandedCallIsAllThereIs) {
  const auto grammar = compile({.frames = {.calls = kNumbered}, .tools = kTools, .must_call = true});
  EXPECT_TRUE(produces(grammar, "<|call|>[functions.add:12 {\"a\":1,\"b\":2}]."));
  EXPECT_TRUE(produces(grammar, "<|call|>[functions.add:0 {\"a\":1,\"b\":2}][functions.sub:1 {\"why\":\"y\"}]."));
  EXPECT_FALSE(produces(grammar, ""));
  EXPECT_FALSE(begins(grammar, "Well"));
  EXPECT_FALSE(begins(grammar, "<|call|>[functions.add: "));
  EXPECT_FALSE(begins(grammar, "<|call|>."));
  EXPECT_FALSE(begins(grammar, "<|call|>[functions.add:1 {\"a\":1,\"b\":2}]. And"));
  const auto one = compile({.frames = {.calls = kNumbered}, .tools = {kTools[1]}, .must_call = true, .most_calls = 1});
  EXPECT_TRUE(produces(one, "<|call|>[functions.sub:0 {\"why\":\"x\"}]."));
  EXPECT_FALSE(begins(one, "<|call|>[functions.a"));
  EXPECT_FALSE(begins(one, "<|call|>[functions.sub:0 {\"why\":\"x\"}][f"));
  EXPECT_FALSE(compile_answer({.frames = {.calls = kNumbered}, .must_call = true}, *trie(), nullptr).ok());
}

TEST(Answers, OneCallEndsTheAnswerWhereOnlyOneIsWanted) {
  const auto grammar = compile({.frames = {.calls = kTagged}, .tools = kTools, .most_calls = 1});
  EXPECT_TRUE(produces(grammar, "So: <tool>\n{\"name\": \"sub\", \"arguments\": {\"why\":\"x\"}}\n</tool>"));
  EXPECT_FALSE(begins(grammar, "So: <tool>\n{\"name\": \"sub\", \"arguments\": {\"why\":\"x\"}}\n</tool>\n"));
}

TEST(Answers, ATriggerThatCountsFirstIsTextLater) {
  CallFrame bare{.trigger = "{\"name\": \"",
                 .triggers_first = true,
                 .before_name = "{\"name\": \"",
                 .before_arguments = "\", \"parameters\": ",
                 .after_arguments = "}",
                 .json_name = true};
  const auto grammar = compile({.frames = {.calls = bare}, .tools = kTools});
  EXPECT_TRUE(produces(grammar, "{\"name\": \"sub\", \"parameters\": {\"why\":\"x\"}}"));
  EXPECT_TRUE(produces(grammar, "{\"names\": 1}"));
  EXPECT_TRUE(produces(grammar, "An example: {\"name\": \"Milo\"}"));
  EXPECT_FALSE(begins(grammar, "{\"name\": \"Milo"));
}

TEST(Answers, ReasoningComesFirst) {
  const ReasoningFrame open{ReasoningFrame::Begins::kOpen, "<think>", "</think>"};
  const ReasoningFrame may{ReasoningFrame::Begins::kMay, "<think>", "</think>"};
  const TextRule number{TextRule::Kind::kSchema, R"({"type":"integer"})"};

  const auto held = compile(rules_of(open, {}, number, {}));
  EXPECT_TRUE(produces(held, "Let me <tool> think.</think>\n\n7"));
  EXPECT_TRUE(produces(held, "</think>7"));
  EXPECT_FALSE(produces(held, "Let me think."));
  EXPECT_FALSE(begins(held, "Hm.</think>The answer"));
  EXPECT_FALSE(begins(held, "Hm.</think>7</think>"));

  const auto perhaps = compile(rules_of(may, {}, number, {}));
  EXPECT_TRUE(produces(perhaps, "7"));
  EXPECT_TRUE(produces(perhaps, "<think>7?</think> 8"));
  EXPECT_FALSE(begins(perhaps, "seven"));

  const auto tools = compile(rules_of(open, kTagged, {}, kTools));
  EXPECT_TRUE(produces(tools, "A <tool> may help"));
  EXPECT_TRUE(produces(tools, "A <tool> may help</think>It does not."));
  EXPECT_FALSE(begins(tools, "A <tool> may help</think><tool> does"));

  AnswerRules demanded = rules_of(may, kTagged, {}, kTools);
  demanded.must_call = true;
  const auto must = compile(demanded);
  EXPECT_TRUE(begins(must, "<tool>\n{\"name\": \"s"));
  EXPECT_TRUE(begins(must, "<think>Hm.</think>\n<tool>\n{\"name\": \"s"));
  EXPECT_FALSE(begins(must, "<think>Hm.</think>No"));
  EXPECT_FALSE(produces(must, "<think>Hm.</think>"));
}

TEST(Answers, ASchemaAndToolsAreAlternatives) {
  AnswerRules rules = rules_of({}, kTagged, {TextRule::Kind::kAnyObject, {}, {}}, kTools);
  rules.frames.text_opens = "<|call|>";
  rules.frames.text_closes = "!";
  const auto grammar = compile(rules);
  EXPECT_TRUE(produces(grammar, "<|call|>{\"x\":1}!"));
  EXPECT_TRUE(produces(grammar, "<tool>\n{\"name\": \"sub\", \"arguments\": {\"why\":\"x\"}}\n</tool>"));
  EXPECT_FALSE(begins(grammar, "Sure"));
}

TEST(Answers, AToolThatIsNotStrictIsNeverRefused) {
  const auto compile_tools = [](bool strict, std::vector<std::string>* warnings) {
    std::vector<ToolRule> tools;
    for (const char* schema : {R"({"type":"object","properties":{"a":{"$ref":"#/nowhere"}}})", "{", R"({"minimum":"x"})",
                               R"({"type":"object","properties":{"a":false},"required":["a"]})",
                               R"({"type":"object","properties":{"a":{"type":"array","uniqueItems":true}}})", ""}) {
      tools.push_back({.name = "t" + std::to_string(tools.size()), .schema = schema, .strict = strict});
    }
    return compile_answer({.frames = {.calls = kNumbered}, .tools = tools, .must_call = true}, *trie(), warnings);
  };
  std::vector<std::string> warnings;
  const auto grammar = compile_tools(false, &warnings);
  ASSERT_TRUE(grammar.ok()) << grammar.error().message;
  for (int i = 0; i < 6; ++i) {
    const std::string call = "<|call|>[functions.t" + std::to_string(i) + ":0 {\"a\":[]}].";
    EXPECT_TRUE(produces(*grammar, call)) << call;
  }
  ASSERT_GE(warnings.size(), 5u);
  EXPECT_NE(warnings[0].find("\"t0\""), std::string::npos) << warnings[0];
  EXPECT_FALSE(compile_tools(true, nullptr).ok());
}

}  // namespace
}  // namespace hearth::grammar
