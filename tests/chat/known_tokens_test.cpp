// Prompts begin with the tokens that the model has seen, whatever a tokenizer would make of the text.
#include "chat/known_tokens.h"

#include "chat/byte_tokenizer.h"
#include "support/support.h"

namespace hearth::chat {
namespace {

using templates::Origin;
using templates::Rendered;
using Tokens = std::vector<text::Token>;

Rendered parts(std::vector<std::pair<std::string, Origin>> list) {
  Rendered out;
  for (const auto& [text, origin] : list) {
    out.text += text;
    out.pieces.push_back({out.text.size(), origin});
  }
  return out;
}

class KnownTokensTest : public ::testing::Test {
 protected:
  bool begins_with(const Tokens& tokens, const Tokens& before) const {
    return tokens.size() >= before.size() && std::equal(before.begin(), before.end(), tokens.begin());
  }
  std::shared_ptr<const text::Tokenizer> tokenizer_ =
      std::make_shared<test::PairTokenizer>(std::vector<std::string>{"<end>", "<call>"}, "<end>");
  ChatModel model_{ChatFacts{}, tokenizer_};
  KnownTokens known_{model_};
};

TEST_F(KnownTokensTest, AnAnswerKeepsItsTokensWhereTheNextPromptRepeatsItsText) {
  const Tokens first = known_.encode(parts({{"Q:", Origin::kTemplate}, {"why", Origin::kUser}}));
  Tokens seen = first;
  const Tokens answer = {'b', 'e', 'c'};  // encode() would make "be" of it
  seen.insert(seen.end(), answer.begin(), answer.end());
  known_.add_answer(answer);
  const Rendered next = parts(
      {{"Q:", Origin::kTemplate}, {"why", Origin::kUser}, {"bec", Origin::kUser}, {"<end>Q:", Origin::kTemplate}});
  const Tokens second = known_.encode(next);
  EXPECT_TRUE(begins_with(second, seen));
  EXPECT_EQ(tokenizer_->decode(second, true), next.text);
  EXPECT_EQ(std::count(second.begin(), second.end(), 256), 1);
}

TEST_F(KnownTokensTest, ThePromptIsKeptWhereTheAnswerIsRepeatedDifferently) {
  const Tokens first = known_.encode(parts({{"Q:w", Origin::kTemplate}}));
  known_.add_answer(Tokens{'x', 'y'});
  const Rendered next = parts({{"Q:wzz!", Origin::kTemplate}});
  const Tokens second = known_.encode(next);
  EXPECT_TRUE(begins_with(second, first));
  EXPECT_EQ(tokenizer_->decode(second, true), next.text);
}

TEST_F(KnownTokensTest, WhatIsAnotherPromptIsEncodedAnew) {
  known_.encode(parts({{"abc", Origin::kTemplate}}));
  known_.add_answer(Tokens{'d'});
  const Rendered other = parts({{"abX", Origin::kTemplate}});
  EXPECT_EQ(known_.encode(other), model_.encode(other));
}

// A user who repeats an answer's text gets no special token by it.
TEST_F(KnownTokensTest, ASpecialTokenIsKnownOnlyWhereATemplateWroteItAgain) {
  known_.encode(parts({{"Q:", Origin::kTemplate}}));
  known_.add_answer(Tokens{257, 'f'});
  const Tokens by_template = known_.encode(parts({{"Q:<call>f", Origin::kTemplate}}));
  EXPECT_EQ(std::count(by_template.begin(), by_template.end(), 257), 1);
  known_.clear();
  known_.encode(parts({{"Q:", Origin::kTemplate}}));
  known_.add_answer(Tokens{257, 'f'});
  const Tokens by_user = known_.encode(parts({{"Q:", Origin::kTemplate}, {"<call>f", Origin::kUser}}));
  EXPECT_EQ(std::count(by_user.begin(), by_user.end(), 257), 0);
}

TEST_F(KnownTokensTest, TheSamePromptAgainIsTheSameTokens) {
  const Rendered prompt = parts({{"Q:<end>", Origin::kTemplate}, {"odd", Origin::kUser}});
  const Tokens first = known_.encode(prompt);
  EXPECT_EQ(known_.encode(prompt), first);
  known_.add_answer(Tokens{'a'});
  EXPECT_EQ(known_.encode(prompt), first);
}

}  // namespace
}  // namespace hearth::chat
