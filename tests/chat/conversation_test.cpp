// Conversations kept within the context, with a tokenizer whose tokens are bytes.
#include "chat/conversation.h"

#include <fmt/format.h>

#include "chat/byte_tokenizer.h"
#include "support/support.h"

namespace hearth::chat {
namespace {

class CountingTokenizer : public test::ByteTokenizer {
 public:
  std::vector<text::Token> encode(std::span<const text::Span> spans, bool add_special) const override {
    for (const text::Span& span : spans) bytes += span.text.size();
    return ByteTokenizer::encode(spans, add_special);
  }
  mutable size_t bytes = 0;
};

constexpr const char* kBrackets =
    "{% for m in messages %}[{{ m.role[0] }}:{{ m.content }}]{% endfor %}"
    "{% if add_generation_prompt %}[a:{% endif %}";

std::string text_of(const std::vector<text::Token>& tokens) {
  return test::ByteTokenizer().decode(tokens, true);
}

std::string prompt_text(Conversation& conversation, uint32_t context) {
  const auto ready = conversation.prompt(context);
  return ready ? text_of(ready->tokens) : fmt::format("error: {}", ready.error().message);
}

ChatModel model_with(const char* chat_template,
                     std::shared_ptr<const text::Tokenizer> tokenizer = std::make_shared<test::ByteTokenizer>()) {
  return ChatModel({.jinja = chat_template}, std::move(tokenizer));
}

const ChatModel& brackets() {
  static const ChatModel model = model_with(kBrackets);
  return model;
}

TEST(Conversation, IsRenderedByTheTemplateWithTheSystemMessageFirst) {
  Conversation conversation(brackets());
  conversation.set_system("S");
  conversation.add("user", "one");
  conversation.add("assistant", "two");
  conversation.add("user", "three");
  EXPECT_EQ(prompt_text(conversation, 1000), "[s:S][u:one][a:two][u:three][a:");
}

// The tokenizer would cut the answer's text into other tokens than the model chose.
TEST(Conversation, KeepsTheTokensOfAnswers) {
  const ChatModel model = model_with(kBrackets, std::make_shared<test::PairTokenizer>());
  Conversation conversation(model);
  conversation.add("user", "x");
  const auto first = conversation.prompt(1000);
  ASSERT_TRUE(first);
  const std::vector<text::Token> answer = {'a', 'b', 'c'};
  conversation.add_answer({.role = "assistant", .content = "abc"}, answer);
  conversation.add("user", "y");
  const auto second = conversation.prompt(1000);
  ASSERT_TRUE(second);
  std::vector<text::Token> seen = first->tokens;
  seen.insert(seen.end(), answer.begin(), answer.end());
  ASSERT_GT(second->tokens.size(), seen.size());
  EXPECT_TRUE(std::equal(seen.begin(), seen.end(), second->tokens.begin()));
}

TEST(Conversation, WithoutATemplateIsTheTextAsItIs) {
  const ChatModel model = model_with("");
  Conversation conversation(model);
  conversation.add("user", "Once upon");
  EXPECT_EQ(prompt_text(conversation, 1000), "Once upon");
  conversation.add("assistant", " a time");
  conversation.add("user", " there");
  EXPECT_EQ(prompt_text(conversation, 1000), "Once upon a time there");
}

TEST(Conversation, WithoutAMessageThereIsNoPrompt) {
  Conversation conversation(brackets());
  conversation.set_system("S");
  EXPECT_EQ(prompt_text(conversation, 1000), "error: there is no message to answer");
}

TEST(Conversation, DropsWholeOldTurnsButNeverTheSystemMessage) {
  Conversation conversation(brackets());
  conversation.set_system("S");
  for (const char* text : {"1111111111", "2222222222", "3333333333"}) {
    conversation.add("user", text);
    conversation.add("assistant", "ok");
  }
  conversation.add("user", "now");
  auto prompt = conversation.prompt(80);  // a quarter is kept for the answer: 60 of 74 may stay; 40 if it is too much
  ASSERT_TRUE(prompt);
  EXPECT_EQ(text_of(prompt->tokens), "[s:S][u:3333333333][a:ok][u:now][a:");
  EXPECT_EQ(prompt->dropped, 4u);
  prompt = conversation.prompt(80);
  EXPECT_EQ(prompt->dropped, 0u) << "they are gone";
}

TEST(Conversation, AShortPromptMayFillAllButTheRoomForAnAnswer) {
  Conversation conversation(brackets());
  conversation.add("user", std::string(2000, 'x'));
  conversation.add("assistant", "ok");
  conversation.add("user", std::string(8192 - 512 - 2017, 'x'));
  const auto prompt = conversation.prompt(8192);
  ASSERT_TRUE(prompt);
  EXPECT_EQ(prompt->tokens.size(), 8192u - 512);
  EXPECT_EQ(prompt->dropped, 0u);
  conversation.add("assistant", "");
  conversation.add("user", "");
  EXPECT_EQ(conversation.prompt(8192)->dropped, 4u) << "the room for an answer is kept, and half of the context freed";
}

TEST(Conversation, MostTurnsOfAFullContextBeginWithThePromptBefore) {
  Conversation conversation(brackets());
  conversation.set_system("S");
  std::vector<text::Token> before;
  int full = 0, cached = 0;
  for (int turn = 0; turn < 400; ++turn) {
    conversation.add("user", fmt::format("question {}", turn));
    const auto prompt = conversation.prompt(1000);
    ASSERT_TRUE(prompt);
    if (full > 0 || prompt->dropped > 0) {
      ++full;
      cached +=
          std::equal(before.begin(), before.end(), prompt->tokens.begin(),
                     prompt->tokens.begin() + static_cast<ptrdiff_t>(std::min(before.size(), prompt->tokens.size())));
    }
    before = prompt->tokens;
    conversation.add("assistant", fmt::format("answer {}", turn));
  }
  EXPECT_GT(full, 300);
  EXPECT_GT(cached, full * 8 / 10);
}

// Each turn once more for each that is dropped would be 100 million tokens.
TEST(Conversation, ManyMessagesAreNotTokenizedAgainAndAgain) {
  const auto tokenizer = std::make_shared<CountingTokenizer>();
  const ChatModel model = model_with(kBrackets, tokenizer);
  Conversation conversation(model);
  for (int turn = 0; turn < 10'000; ++turn) {
    conversation.add("user", fmt::format("question {}", turn));
    conversation.add("assistant", fmt::format("answer {}", turn));
  }
  conversation.add("user", "last");
  const auto prompt = conversation.prompt(4096);
  ASSERT_TRUE(prompt);
  EXPECT_LE(prompt->tokens.size(), 2048u);
  EXPECT_GT(prompt->tokens.size(), 2000u) << "as much as half of the context holds";
  EXPECT_LT(tokenizer->bytes, 20 * 4096u);
}

TEST(Conversation, ALastMessageThatIsTooLongIsRefusedAndNothingIsForgotten) {
  Conversation conversation(brackets());
  conversation.add("user", std::string(45, 'x'));
  EXPECT_EQ(prompt_text(conversation, 60).find("error"), std::string::npos) << "a short answer is better than none";
  conversation.add("user", std::string(60, 'x'));
  EXPECT_EQ(prompt_text(conversation, 60), "error: the message does not fit into the context of 60 tokens; shorten it");
  EXPECT_EQ(conversation.messages().size(), 2u);
  EXPECT_EQ(conversation.prompt(60, 60).error().message.find("--ctx"), std::string::npos);
  EXPECT_NE(conversation.prompt(60, 80).error().message.find("; shorten it, or start with a larger --ctx (at most 80)"),
            std::string::npos);
}

TEST(Conversation, AMessageThatIsFarTooLongIsNotTokenized) {
  const auto tokenizer = std::make_shared<CountingTokenizer>();
  const ChatModel model = model_with(kBrackets, tokenizer);
  Conversation conversation(model);
  conversation.add("user", std::string(10'000'000, 'x'));
  EXPECT_FALSE(conversation.prompt(4096).ok());
  EXPECT_EQ(tokenizer->bytes, 0u);
}

}  // namespace
}  // namespace hearth::chat
