// An engine's text and its tokens, brought together for a parser.
#include "chat/answer.h"

#include "chat/byte_tokenizer.h"
#include "chat/chat_model.h"
#include "support/support.h"

namespace hearth::chat {
namespace {

using Tokens = std::vector<text::Token>;

class AnswerTest : public ::testing::Test {
 protected:
  void begin(const std::string& prompt_end = {}) {
    answer_.emplace(format_, ParserOptions{.tools = tools_, .prompt_end = prompt_end}, *tokenizer_);
  }
  static Tokens tokens(std::string_view text) { return {text.begin(), text.end()}; }
  void add(std::string_view text, const Tokens& ids) {
    answer_->add(text, ids, [](const Delta&) {});
  }
  const Message& finish(Ending ending = Ending::kStop) {
    answer_->finish(ending, [](const Delta&) {});
    return answer_->message();
  }

  std::shared_ptr<const text::Tokenizer> tokenizer_ = std::make_shared<test::ByteTokenizer>(
      std::vector<std::string>{"<tool_call>", "</tool_call>", "<|im_end|>"}, "<|im_end|>");
  const Format format_ = recognise({.template_text = "<tool_call>",
                                    .vocabulary = {{256, "<tool_call>"}, {257, "</tool_call>"}, {258, "<|im_end|>"}}});
  std::vector<Tool> list_ = {{.name = "f", .description = {}, .parameters = {}}};
  std::shared_ptr<const ToolSet> tools_ = std::make_shared<ToolSet>(list_);
  std::optional<Answer> answer_;
};

TEST_F(AnswerTest, MarkersAreTheirTokensWhateverTextComesWhen) {
  begin();
  const std::string json = R"({"name": "f", "arguments": {}})";
  Tokens ids = tokens("Hi ");
  ids.push_back(256);
  for (const char c : json) ids.push_back(c);
  ids.push_back(257);
  ids.push_back(258);
  add("Hi " + json, ids);  // all at once: special tokens have no text
  const Message& message = finish();
  EXPECT_EQ(message.content, "Hi");
  ASSERT_EQ(message.calls.size(), 1u);
  EXPECT_EQ(message.calls[0].name, "f");
}

TEST_F(AnswerTest, TextThatLagsBehindItsTokensIsWaitedFor) {
  begin();
  add("", tokens("a"));
  add("a", {});
  EXPECT_EQ(answer_->message().content, "a");
  add("", tokens("b"));
  EXPECT_EQ(answer_->message().content, "a") << "the engine may still cut it";
  add("bc", tokens("c"));
  EXPECT_EQ(finish().content, "abc");
}

TEST_F(AnswerTest, WhatAStopTextCutIsNotPartOfIt) {
  begin();
  add("one t", tokens("one tSTOP"));
  EXPECT_EQ(finish().content, "one t");
}

// A token of two bytes, of which the stop text took the second.
TEST_F(AnswerTest, OfATokenThatAStopTextCutThereIsWhatWasBeforeIt) {
  const test::PairTokenizer pairs;
  Answer answer(format_, {.tools = tools_}, pairs);
  const text::Span text{"one tS", false};
  answer.add("one t", pairs.encode({&text, 1}, false), [](const Delta&) {});
  answer.finish(Ending::kStop, [](const Delta&) {});
  EXPECT_EQ(answer.message().content, "one t");
}

TEST_F(AnswerTest, ACharacterOfSeveralTokensIsOne) {
  begin();
  add("", Tokens{0xC3});
  add("\xC3\xA9", Tokens{0xA9});
  EXPECT_EQ(finish().content, "\xC3\xA9");
}

TEST_F(AnswerTest, ACharacterThatNeverBecomesWholeIsReplaced) {
  begin();
  add("x", Tokens{'x', 0xC3});
  add("\uFFFD", {});
  EXPECT_EQ(finish(Ending::kLength).content, "x\uFFFD");
}

TEST_F(AnswerTest, ThoughtsAreToldFromTheAnswerByThePrompt) {
  const Format thinker = recognise({.template_text = "<tool_call> <think> </think>", .vocabulary = {}});
  Answer answer(thinker, {.prompt_end = "<think>\n"}, *tokenizer_);
  const std::string text = "hm</think>\n\nyes";
  answer.add(text, tokens(text), [](const Delta&) {});
  answer.finish(Ending::kStop, [](const Delta&) {});
  EXPECT_EQ(answer.message().reasoning, "hm");
  EXPECT_EQ(answer.message().content, "yes");
}

}  // namespace
}  // namespace hearth::chat
