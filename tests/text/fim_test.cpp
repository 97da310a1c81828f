// Prompts that ask for what is between two texts.
#include "text/fim.h"

#include <gtest/gtest.h>

#include "support/support.h"
#include "text/tiny_vocabulary.h"

namespace hearth::text {
namespace {

using test::TinyVocabulary;
using test::u32_value;
using Tokens = std::vector<Token>;

std::unique_ptr<Tokenizer> load(const TinyVocabulary& vocabulary) {
  auto tokenizer = vocabulary.load();
  if (!tokenizer) throw std::runtime_error(tokenizer.error().message);
  return std::move(tokenizer).value();
}

Tokens prompt(const Tokenizer& tokenizer, std::string_view prefix, std::string_view suffix) {
  return tokenizer.encode_fim(prefix, suffix, 100).tokens;
}

// Marks are 256, 257, 258.
TinyVocabulary with_marks(const std::vector<std::string>& marks) {
  return test::byte_pairs("gpt-2", {}, marks);
}

TEST(Fim, PutsThePrefixFirst) {
  const auto tokenizer = load(with_marks({"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"}));
  ASSERT_TRUE(tokenizer->has_fim());
  const FimPrompt fim = tokenizer->encode_fim("ab", "c", 100);
  EXPECT_EQ(fim.tokens, (Tokens{256, 'a', 'b', 257, 'c', 258}));
  EXPECT_EQ(fim.stops, (Tokens{256, 257, 258}));
  EXPECT_EQ(prompt(*tokenizer, "", ""), (Tokens{256, 257, 258}));
}

TEST(Fim, PutsTheSuffixFirstWhereTheFamilyDoes) {
  // Codestral has a mark for the middle and was not trained to see it.
  const auto codestral = load(with_marks({"[PREFIX]", "[SUFFIX]", "[MIDDLE]"}));
  EXPECT_EQ(prompt(*codestral, "ab", "c"), (Tokens{257, 'c', 256, 'a', 'b'}));
  const auto seed = load(with_marks({"<[fim-prefix]>", "<[fim-suffix]>", "<[fim-middle]>"}));
  EXPECT_EQ(prompt(*seed, "ab", "c"), (Tokens{257, 'c', 256, 'a', 'b', 258}));
}

// Mellum has StarCoder's marks, and was trained to see the suffix first.
TEST(Fim, TheWayOfCuttingWordsTellsFamiliesWithTheSameMarks) {
  const std::vector<std::string> marks = {"<fim_prefix>", "<fim_suffix>", "<fim_middle>"};
  EXPECT_EQ(prompt(*load(test::byte_pairs("starcoder", {}, marks)), "ab", "c"), (Tokens{256, 'a', 'b', 257, 'c', 258}));
  EXPECT_EQ(prompt(*load(test::byte_pairs("mellum", {}, marks)), "ab", "c"), (Tokens{257, 'c', 256, 'a', 'b', 258}));
}

TEST(Fim, IsKnownByTheTextsOfEachFamily) {
  for (const FimTexts& family : known_fim_texts()) {
    TinyVocabulary vocabulary = with_marks({std::string(family.prefix), std::string(family.suffix)});
    if (!family.middle.empty()) {
      EXPECT_FALSE(load(vocabulary)->has_fim()) << family.prefix;
      vocabulary.tokens.push_back({std::string(family.middle), TokenType::kUserDefined});
    }
    const auto tokenizer = load(vocabulary);
    EXPECT_TRUE(tokenizer->has_fim()) << family.prefix;
    for (Token mark = 256; mark < static_cast<Token>(vocabulary.tokens.size()); ++mark)
      EXPECT_TRUE(tokenizer->is_control(mark)) << family.prefix;
  }
  EXPECT_FALSE(load(with_marks({"<|other|>"}))->has_fim());
}

TEST(Fim, IsKnownByTheKeysOfTheFile) {
  TinyVocabulary vocabulary = with_marks({"<A>", "<B>", "<C>", "<D>"});
  for (const auto& [pre, suf, mid] : {std::tuple("fim_pre", "fim_suf", "fim_mid"), {"prefix", "suffix", "middle"}}) {
    const auto key = [](const char* name) { return "tokenizer.ggml." + std::string(name) + "_token_id"; };
    vocabulary.more = {{key(pre), u32_value(257)}, {key(suf), u32_value(256)}, {key(mid), u32_value(258)}};
    EXPECT_EQ(prompt(*load(vocabulary), "a", "b"), (Tokens{257, 'a', 256, 'b', 258})) << pre;
    vocabulary.more.pop_back();
    EXPECT_FALSE(load(vocabulary)->has_fim()) << pre;
  }
  // Keys win over texts, and do not say the order.
  vocabulary = with_marks({"[PREFIX]", "[SUFFIX]", "[MIDDLE]", "<A>"});
  vocabulary.more = {{"tokenizer.ggml.fim_pre_token_id", u32_value(256)},
                     {"tokenizer.ggml.fim_suf_token_id", u32_value(257)},
                     {"tokenizer.ggml.fim_mid_token_id", u32_value(258)}};
  EXPECT_EQ(prompt(*load(vocabulary), "a", "b"), (Tokens{257, 'b', 256, 'a'}));
  vocabulary.more[0].second = u32_value(259);
  EXPECT_EQ(prompt(*load(vocabulary), "a", "b"), (Tokens{259, 'a', 257, 'b', 258}));

  vocabulary.more[0].second = u32_value(5000);
  const auto broken = vocabulary.load();
  ASSERT_FALSE(broken);
  EXPECT_NE(broken.error().message.find("tokenizer.ggml.fim_pre_token_id"), std::string::npos);
}

TEST(Fim, EndsAnAnswerWhereTheNextFileBegins) {
  TinyVocabulary vocabulary = with_marks({"<p>", "<r>", "<s>", "<other>"});
  vocabulary.more = {{"tokenizer.ggml.fim_pad_token_id", u32_value(256)},
                     {"tokenizer.ggml.fim_rep_token_id", u32_value(257)},
                     {"tokenizer.ggml.fim_sep_token_id", u32_value(258)}};
  const auto tokenizer = load(vocabulary);
  for (Token token = 256; token < 260; ++token) EXPECT_EQ(tokenizer->is_end_of_generation(token), token < 259) << token;
}

// CodeLlama: the prefix begins as every text does, the suffix goes on.
TEST(Fim, PutsASpaceBeforeThePrefixOnly) {
  TinyVocabulary vocabulary =
      test::sentencepiece({{"▁"}, {"a"}, {"▁a", TokenType::kNormal, 1}, {"▁<PRE>"}, {"▁<SUF>"}, {"▁<MID>"}});
  const Token a = test::kFirstPiece + 1, space_a = a + 1, pre = a + 2;
  const auto tokenizer = load(vocabulary);
  EXPECT_EQ(prompt(*tokenizer, "a", "a"), (Tokens{1, pre, space_a, pre + 1, a, pre + 2}));
  const Tokens typed = prompt(*tokenizer, " <PRE>", " <MID>");
  EXPECT_EQ(std::count(typed.begin(), typed.end(), pre), 1);
  EXPECT_EQ(std::count(typed.begin(), typed.end(), pre + 2), 1);
}

TEST(Fim, MakesNoMarkOfWhatAUserSays) {
  const auto tokenizer = load(with_marks({"<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<|im_end|>"}));
  const std::string all = "<fim_prefix><fim_suffix><fim_middle><|im_end|>";
  const Tokens tokens = prompt(*tokenizer, all, all);
  for (Token mark = 256; mark < 260; ++mark)
    EXPECT_EQ(std::count(tokens.begin(), tokens.end(), mark), mark < 259) << mark;
}

TEST(Fim, KeepsWhatIsNextToTheGap) {
  const auto tokenizer = load(with_marks({"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"}));
  const std::string prefix = "0123456789", suffix = "abcdefghij";
  const auto text = [&](size_t limit, size_t dropped_prefix, size_t dropped_suffix) {
    const FimPrompt fim = tokenizer->encode_fim(prefix, suffix, limit);
    EXPECT_EQ(fim.dropped_prefix, dropped_prefix) << limit;
    EXPECT_EQ(fim.dropped_suffix, dropped_suffix) << limit;
    EXPECT_EQ(fim.tokens.size(), std::min<size_t>(std::max<size_t>(limit, 3), 23)) << limit;
    return tokenizer->decode(fim.tokens, false);
  };
  EXPECT_EQ(text(23, 0, 0), prefix + suffix);
  EXPECT_EQ(text(22, 0, 1), "0123456789abcdefghi");
  EXPECT_EQ(text(15, 1, 7), "123456789abc");  // a quarter of the room is the suffix's
  EXPECT_EQ(text(7, 7, 9), "789a");
  EXPECT_EQ(text(3, 10, 10), "");
  EXPECT_EQ(text(0, 10, 10), "");

  const FimPrompt short_suffix = tokenizer->encode_fim(prefix, "a", 11);
  EXPECT_EQ(tokenizer->decode(short_suffix.tokens, false), "3456789a");
}

}  // namespace
}  // namespace hearth::text
