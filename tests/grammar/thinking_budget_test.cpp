// How long a model may think before its answer begins.
#include "grammar/thinking_budget.h"

#include "gguf/file.h"
#include "grammar/token_constraint.h"
#include "support/support.h"

namespace hearth::grammar {
namespace {

using Begins = ReasoningFrame::Begins;

class ThinkingBudgetTest : public testing::Test {
 protected:
  void SetUp() override {
    REQUIRE_SHARED("models/stories260K.gguf");
    const auto file = gguf::File::open(test::shared("models/stories260K.gguf").string());
    ASSERT_TRUE(file.ok());
    auto loaded = text::Tokenizer::load(**file);
    ASSERT_TRUE(loaded.ok());
    tokenizer_ = std::move(*loaded);
    mask_.resize(sampling::mask_words(tokenizer_->size()));
  }

  std::unique_ptr<sampling::Constraint> limit(Begins begins, uint32_t most,
                                              std::unique_ptr<sampling::Constraint> inner = nullptr) {
    auto limited = limit_thinking({begins, "<think>", "</think>"}, most, *tokenizer_, std::move(inner));
    EXPECT_TRUE(limited.ok());
    return std::move(limited).value();
  }
  std::vector<text::Token> tokens(const std::string& text) const {
    return tokenizer_->encode(text, {.add_special = false, .parse_special = true});
  }
  size_t allowed(sampling::Constraint& constraint) {
    EXPECT_TRUE(constraint.allowed(mask_).ok());
    size_t count = 0;
    for (int32_t token = 0; token < static_cast<int32_t>(tokenizer_->size()); ++token)
      count += sampling::is_set(mask_, token);
    return count;
  }
  void take(sampling::Constraint& constraint, const std::string& text) {
    for (const text::Token token : tokens(text)) ASSERT_TRUE(constraint.accept(token)) << text;
  }
  // What has to come now.
  std::string due(sampling::Constraint& constraint) {
    std::string text;
    for (const int32_t token : constraint.forced()) text += tokenizer_->piece(token, true);
    return text;
  }

  std::unique_ptr<text::Tokenizer> tokenizer_;
  std::vector<uint64_t> mask_;
};

TEST_F(ThinkingBudgetTest, ThinkingIsClosedWhenItHasHadItsTokensAndTheAnswerIsFree) {
  const auto constraint = limit(Begins::kOpen, 4);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(allowed(*constraint), tokenizer_->size());
    EXPECT_EQ(due(*constraint), "");
    ASSERT_TRUE(constraint->accept(tokens("a")[0]));
  }
  EXPECT_NE(due(*constraint).find("</think>"), std::string::npos);
  for (const text::Token token : tokens("</think>")) {
    EXPECT_EQ(allowed(*constraint), 1u);
    EXPECT_FALSE(constraint->accept(token == 5 ? 6 : 5));
    ASSERT_TRUE(constraint->accept(token));
  }
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(allowed(*constraint), tokenizer_->size());
    ASSERT_TRUE(constraint->accept(tokens("a")[0]));
  }
}

TEST_F(ThinkingBudgetTest, WhoEndsItsThinkingEarlierIsNotDisturbed) {
  const auto constraint = limit(Begins::kMay, 30);
  take(*constraint, "<think>so</think>a long answer in which nobody thinks of <think> again and again and again");
  EXPECT_EQ(due(*constraint), "");
  EXPECT_EQ(allowed(*constraint), tokenizer_->size());
}

TEST_F(ThinkingBudgetTest, AnAnswerWithoutThinkingIsNotDisturbed) {
  const auto constraint = limit(Begins::kMay, 2);
  take(*constraint, "this is the answer, and it is longer than the thinking may be");
  EXPECT_EQ(due(*constraint), "");
}

TEST_F(ThinkingBudgetTest, ThinkingThatTheAnswerOpensCountsFromThere) {
  const auto constraint = limit(Begins::kMay, 3);
  take(*constraint, "<think>");
  EXPECT_EQ(due(*constraint), "");
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(constraint->accept(tokens("a")[0]));
  EXPECT_NE(due(*constraint).find("</think>"), std::string::npos);
}

TEST_F(ThinkingBudgetTest, ForksAndStepsBackKeepTheirCount) {
  const auto constraint = limit(Begins::kOpen, 2);
  ASSERT_TRUE(constraint->accept(tokens("a")[0]));
  const auto fork = constraint->clone();
  ASSERT_TRUE(constraint->accept(tokens("a")[0]));
  EXPECT_NE(due(*constraint), "");
  EXPECT_EQ(due(*fork), "");
  constraint->rollback(1);
  EXPECT_EQ(due(*constraint), "");
  ASSERT_TRUE(fork->accept(tokens("b")[0]));
  EXPECT_NE(due(*fork), "");
}

TEST_F(ThinkingBudgetTest, TheAnswerBehindItObeysItsForm) {
  AnswerRules rules;
  rules.frames.reasoning = {Begins::kOpen, "<think>", "</think>"};
  rules.text.kind = TextRule::Kind::kPattern;
  rules.text.source = "yes|no";
  auto inner = constrain(rules, std::make_shared<TokenTrie>(*tokenizer_), nullptr);
  ASSERT_TRUE(inner.ok()) << inner.error().message;
  const auto constraint = limit(Begins::kOpen, 3, std::move(inner).value());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(constraint->accept(tokens("a")[0]));
  for (const int32_t token : constraint->forced()) ASSERT_TRUE(constraint->accept(token));
  EXPECT_LT(allowed(*constraint), 20u);
  EXPECT_FALSE(constraint->ended());
  for (const char* letter : {"n", "o"}) ASSERT_TRUE(constraint->accept(tokenizer_->find(letter))) << letter;
  EXPECT_TRUE(constraint->may_end());
}

TEST_F(ThinkingBudgetTest, AModelWithoutThinkingHasNothingToLimit) {
  EXPECT_FALSE(limit_thinking({}, 3, *tokenizer_, nullptr).ok());
}

}  // namespace
}  // namespace hearth::grammar
