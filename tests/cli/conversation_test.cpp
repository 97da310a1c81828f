// Conversations kept within the context, with a tokenizer whose tokens are bytes.
#include "cli/conversation.h"

#include <fmt/format.h>

#include "support/support.h"

namespace hearth::cli {
namespace {

class ByteTokenizer : public text::Tokenizer {
 public:
  std::vector<text::Token> encode(std::string_view text, const text::EncodeOptions&) const override {
    return {text.begin(), text.end()};
  }
  std::string piece(text::Token token, bool) const override { return {static_cast<char>(token)}; }
  std::string decode(std::span<const text::Token> tokens, bool) const override {
    return {tokens.begin(), tokens.end()};
  }
  size_t size() const override { return 256; }
  std::string_view model_name() const override { return "bytes"; }
  std::string_view pre_name() const override { return ""; }
  text::Token bos() const override { return text::kNoToken; }
  text::Token eos() const override { return text::kNoToken; }
  bool adds_bos() const override { return false; }
  bool is_end_of_generation(text::Token) const override { return false; }
  bool is_control(text::Token) const override { return false; }
  text::Token find(std::string_view) const override { return text::kNoToken; }
};

const text::ChatTemplate kBrackets = {.name = "brackets",
                                      .marks = {},
                                      .user = {"[u:", "]"},
                                      .assistant = {"[a:", "]"},
                                      .system = {"[s:", "]"},
                                      .answer = "[a:",
                                      .stops = {"]"}};
const ByteTokenizer kTokenizer;

std::string prompt_text(Conversation& conversation, uint32_t context) {
  const auto prompt = conversation.prompt(context);
  return prompt ? kTokenizer.decode(prompt->tokens, true) : fmt::format("error: {}", prompt.error().message);
}

TEST(Conversation, IsRenderedByTheTemplateWithTheSystemMessageFirst) {
  Conversation conversation(kTokenizer, &kBrackets);
  conversation.set_system("S");
  conversation.add("user", "one");
  conversation.add("assistant", "two");
  conversation.add("user", "three");
  EXPECT_EQ(prompt_text(conversation, 1000), "[s:S][u:one][a:two][u:three][a:");
  EXPECT_EQ(conversation.stops(), std::vector<std::string>{"]"});
}

TEST(Conversation, WithoutATemplateIsTheTextAsItIs) {
  Conversation conversation(kTokenizer, nullptr);
  conversation.add("user", "Once upon");
  EXPECT_EQ(prompt_text(conversation, 1000), "Once upon");
  conversation.add("assistant", " a time");
  conversation.add("user", " there");
  EXPECT_EQ(prompt_text(conversation, 1000), "Once upon a time there");
  EXPECT_TRUE(conversation.stops().empty());
}

TEST(Conversation, DropsWholeOldTurnsButNeverTheSystemMessage) {
  Conversation conversation(kTokenizer, &kBrackets);
  conversation.set_system("S");
  for (const char* text : {"1111111111", "2222222222", "3333333333"}) {
    conversation.add("user", text);
    conversation.add("assistant", "ok");
  }
  conversation.add("user", "now");
  auto prompt = conversation.prompt(60);  // a quarter is kept for the answer: 45 of 74 may stay
  ASSERT_TRUE(prompt);
  EXPECT_EQ(kTokenizer.decode(prompt->tokens, true), "[s:S][u:3333333333][a:ok][u:now][a:");
  EXPECT_EQ(prompt->dropped, 4u);
  prompt = conversation.prompt(60);
  EXPECT_EQ(prompt->dropped, 0u) << "they are gone";
}

TEST(Conversation, ALastMessageThatIsTooLongIsRefused) {
  Conversation conversation(kTokenizer, &kBrackets);
  conversation.add("user", std::string(45, 'x'));
  EXPECT_EQ(prompt_text(conversation, 60).find("error"), std::string::npos) << "a short answer is better than none";
  conversation.add("user", std::string(60, 'x'));
  EXPECT_EQ(prompt_text(conversation, 60),
            "error: the message has 67 tokens, but the context has 60; shorten it, or start with a larger --ctx");
}

}  // namespace
}  // namespace hearth::cli
