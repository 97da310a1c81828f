// What users say never becomes a special token; what templates write does.
#include <gtest/gtest.h>

#include "support/support.h"
#include "text/tiny_vocabulary.h"

namespace hearth::text {
namespace {

using test::TinyVocabulary;
using Tokens = std::vector<Token>;

std::unique_ptr<Tokenizer> load(const TinyVocabulary& vocabulary) {
  auto tokenizer = vocabulary.load();
  if (!tokenizer) throw std::runtime_error(tokenizer.error().message);
  return std::move(tokenizer).value();
}

Span written(std::string_view text) {
  return {text, true};
}
Span said(std::string_view text) {
  return {text, false};
}

Tokens encode(const Tokenizer& tokenizer, const std::vector<Span>& spans) {
  return tokenizer.encode(spans, false);
}
Tokens plain(const Tokenizer& tokenizer, std::string_view text) {
  return tokenizer.encode(text, {.add_special = false, .parse_special = false});
}

// <|a|> is 258, <|a|>> 259, <|b|> 260.
std::unique_ptr<Tokenizer> byte_pairs() {
  return load(test::byte_pairs("gpt-2", {"x y", "xy z"}, {"<|a|>", "<|a|>>", "<|b|>"}));
}

TEST(Spans, FindSpecialTokensOnlyInWhatTheTemplateWrote) {
  const auto tokenizer = byte_pairs();
  EXPECT_EQ(encode(*tokenizer, {written("<|a|>")}), (Tokens{258}));
  EXPECT_EQ(encode(*tokenizer, {said("<|a|>")}), (Tokens{'<', '|', 'a', '|', '>'}));
  EXPECT_EQ(encode(*tokenizer, {written("<|a|>"), said("<|b|>"), written("<|b|>")}),
            (Tokens{258, '<', '|', 'b', '|', '>', 260}));
}

TEST(Spans, FindNoSpecialTokenThatIsPartlyOfAUser) {
  const auto tokenizer = byte_pairs();
  const std::string mark = "<|a|>";
  const Tokens bytes(mark.begin(), mark.end());
  for (size_t cut = 1; cut < mark.size(); ++cut) {
    const std::string_view left = std::string_view(mark).substr(0, cut), right = std::string_view(mark).substr(cut);
    EXPECT_EQ(encode(*tokenizer, {written(left), said(right)}), bytes) << cut;
    EXPECT_EQ(encode(*tokenizer, {said(left), written(right)}), bytes) << cut;
    EXPECT_EQ(encode(*tokenizer, {said(left), said(right)}), bytes) << cut;
    EXPECT_EQ(encode(*tokenizer, {written(left), written(""), said(""), written(right)}), Tokens{258}) << cut;
  }
  // The longest of two that is the template's own.
  EXPECT_EQ(encode(*tokenizer, {written("<|a|>"), said(">")}), (Tokens{258, '>'}));
  EXPECT_EQ(encode(*tokenizer, {written("<|a|>>")}), (Tokens{259}));
}

TEST(Spans, TokenizeWhatIsBetweenMarksAsOneText) {
  const auto tokenizer = byte_pairs();
  EXPECT_EQ(encode(*tokenizer, {written("x"), said("y"), written("z")}), (Tokens{257}));
  EXPECT_EQ(encode(*tokenizer, {written("<|a|>x"), said("yz"), written("<|b|>")}), (Tokens{258, 257, 260}));
  EXPECT_EQ(encode(*tokenizer, {}), Tokens{});
  EXPECT_EQ(encode(*tokenizer, {said(""), written("")}), Tokens{});
}

TEST(Spans, PutStartAndEndAroundTheWhole) {
  TinyVocabulary vocabulary = test::byte_pairs("gpt-2", {}, {"<s>", "<e>"});
  vocabulary.more = {{"tokenizer.ggml.bos_token_id", test::u32_value(256)},
                     {"tokenizer.ggml.eos_token_id", test::u32_value(257)},
                     {"tokenizer.ggml.add_bos_token", test::bool_value(true)},
                     {"tokenizer.ggml.add_eos_token", test::bool_value(true)}};
  EXPECT_EQ(load(vocabulary)->encode(std::vector{said("a"), written("b")}, true), (Tokens{256, 'a', 'b', 257}));
}

// SentencePiece puts a space before the first text and behind marks, but not between spans.
TEST(Spans, AreOneTextForSentencePiece) {
  const auto tokenizer = load(test::sentencepiece({{"▁"}, {"a"}, {"▁a", TokenType::kNormal, 1}, {"aa"}}));
  const Token space_a = test::kFirstPiece + 2, aa = test::kFirstPiece + 3, a = test::kFirstPiece + 1;
  EXPECT_EQ(encode(*tokenizer, {written("<s>"), said("a"), said("a"), written("</s>a")}),
            (Tokens{1, space_a, a, 2, space_a}));
  EXPECT_EQ(encode(*tokenizer, {said("aa"), written("a")}), (Tokens{space_a, aa}));
  const Tokens typed = encode(*tokenizer, {said("<s></s><unk>")});
  for (const Token special : {0, 1, 2}) EXPECT_EQ(std::count(typed.begin(), typed.end(), special), 0);
}

// Merges of pieces must not lead to a mark either.
TEST(Spans, MergeNothingToAMark) {
  const auto tokenizer = load(
      test::sentencepiece({{"<"}, {"x"}, {">"}, {"<x", TokenType::kNormal, 2}, {"<x>", TokenType::kUserDefined, 3}}));
  const Token mark = test::kFirstPiece + 4;
  EXPECT_EQ(encode(*tokenizer, {written("<x>")}), (Tokens{mark}));
  const Tokens typed = encode(*tokenizer, {said("<x>")});
  EXPECT_EQ(std::count(typed.begin(), typed.end(), mark), 0);
  EXPECT_EQ(tokenizer->decode(typed, true), "<x>");
}

// Phi-3's marks take the white space behind them, whoever wrote it.
TEST(Spans, StripBehindMarksOfTheTemplateOnly) {
  TinyVocabulary vocabulary = test::sentencepiece({{"▁"}, {"\n"}, {"a"}, {"<|u|>", TokenType::kControl}});
  vocabulary.more = {{"general.name", gguf::test::string_value("Phi-3")}};
  const auto tokenizer = load(vocabulary);
  const Token space = test::kFirstPiece, line = space + 1, a = space + 2, mark = space + 3;
  EXPECT_EQ(encode(*tokenizer, {written("<|u|>\n"), said("\na")}), (Tokens{mark, space, a}));
  const Tokens typed = encode(*tokenizer, {said("<|u|>\na")});
  EXPECT_EQ(std::count(typed.begin(), typed.end(), line), 1);
}

TEST(Spans, AreOneTextForWordPiece) {
  TinyVocabulary vocabulary{.model = "bert", .pre = {}, .tokens = {}, .merges = {}};
  vocabulary.tokens = {
      {"[UNK]", TokenType::kControl}, {"[SEP]", TokenType::kControl}, {"▁ab"}, {"▁["}, {"▁]"}, {"▁sep"}};
  vocabulary.more = {{"tokenizer.ggml.unknown_token_id", test::u32_value(0)}};
  const auto tokenizer = load(vocabulary);
  EXPECT_EQ(encode(*tokenizer, {written("a"), said("b[SEP]"), written("[SEP]ab")}), (Tokens{2, 3, 5, 4, 1, 2}));
}

TEST(Spans, TakeUserDefinedTokensThatLookLikeMarksForMarks) {
  TinyVocabulary vocabulary = test::byte_pairs("gpt-2", {});
  const std::vector<std::string> marks = {
      "<tool_call>", "</think>", "[INST]",   "<｜User｜>", "<｜fim▁begin｜>", "<|\"|>", "<turn|>", "]~b]",    "[e~[",
      ">>TITLE<<",   "<|EOT|>",  "｜DSML｜", "▁<PRE>",     "◁think▷",         "<s>",    "</s>",    "<|user|>"};
  const std::vector<std::string> texts = {"\n\n", "  ", "õ", "<b>", "</table>", "<h1>", "12", "..."};
  for (const auto* list : {&marks, &texts})
    for (const std::string& text : *list) vocabulary.tokens.push_back({text, TokenType::kUserDefined});
  const auto tokenizer = load(vocabulary);
  for (const std::string& text : marks) {
    const Tokens token = {tokenizer->find(text)};
    EXPECT_GE(token[0], 256) << text;
    EXPECT_EQ(encode(*tokenizer, {written(text)}), token) << text;
    EXPECT_EQ(encode(*tokenizer, {said(text)}).size(), text.size()) << text;
  }
  for (const std::string& text : texts) {
    const Tokens token = {tokenizer->find(text)};
    EXPECT_EQ(encode(*tokenizer, {written(text)}), token) << text;
    EXPECT_EQ(encode(*tokenizer, {said(text)}), token) << text;
    EXPECT_EQ(encode(*tokenizer, {said(text.substr(0, 1)), written(text.substr(1))}), token) << text;
  }
}

// The spans of any text that imitates nothing give the tokens of the whole.
TEST(Spans, GiveTheTokensOfTheWholeText) {
  std::mt19937_64 random(hearth::test::seed());
  const std::vector<std::string> parts = {"xyz", " x", "\n", "'s", "12", "é", "  ", "x", "y", "\xC3"};
  const auto tokenizer = byte_pairs();
  for (int round = 0; round < 500; ++round) {
    std::vector<std::string> texts;
    std::string whole;
    for (size_t n = 1 + random() % 10; n > 0; --n) {
      texts.push_back(parts[random() % parts.size()]);
      whole += texts.back();
    }
    std::vector<Span> spans;
    for (const std::string& text : texts) spans.push_back({text, random() % 2 == 0});
    EXPECT_EQ(encode(*tokenizer, spans), plain(*tokenizer, whole)) << whole;
  }
}

}  // namespace
}  // namespace hearth::text
