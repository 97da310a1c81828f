#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include "support/support.h"
#include "text/tiny_vocabulary.h"

namespace hearth::text {
namespace {

using test::byte_pairs;
using test::byte_token;
using test::kFirstPiece;
using test::sentencepiece;
using test::TinyVocabulary;
using Tokens = std::vector<Token>;

constexpr EncodeOptions kPlain{.add_special = false, .parse_special = false};
constexpr EncodeOptions kSpecial{.add_special = false, .parse_special = true};

std::unique_ptr<Tokenizer> load(const TinyVocabulary& vocabulary) {
  auto tokenizer = vocabulary.load();
  if (!tokenizer) throw std::runtime_error(tokenizer.error().message);
  return std::move(tokenizer).value();
}

std::string error_of(const TinyVocabulary& vocabulary) {
  const auto tokenizer = vocabulary.load();
  return tokenizer ? "loaded" : tokenizer.error().message;
}

// The sign for a space is U+2581. Scores: the higher, the earlier.
TinyVocabulary hello() {
  return sentencepiece({{"▁"},
                        {"h"},
                        {"e"},
                        {"l"},
                        {"o"},
                        {"▁h", TokenType::kNormal, -1},
                        {"he", TokenType::kNormal, -2},
                        {"ll", TokenType::kNormal, -3},
                        {"▁hell", TokenType::kNormal, -5},
                        {"el", TokenType::kNormal, -4},
                        {"ell", TokenType::kNormal, -3.5f}});
}
enum Hello : Token { kSpaceSign = kFirstPiece, kH, kE, kL, kO, kSpaceH, kHe, kLl, kSpaceHell, kEl, kEll };

TEST(SentencePiece, JoinsTheNeighboursWithTheBestScore) {
  const auto tokenizer = load(hello());
  EXPECT_EQ(tokenizer->encode("hello", kPlain), (Tokens{kSpaceHell, kO}));  // _h+e... "ll", "ell", "_hell"
  EXPECT_EQ(tokenizer->encode("h h", kPlain), (Tokens{kSpaceH, kSpaceH}));
  EXPECT_EQ(tokenizer->encode("", kPlain), Tokens{});
}

TEST(SentencePiece, AddsTheStartTokenAndASpace) {
  const auto tokenizer = load(hello());
  EXPECT_EQ(tokenizer->encode("h", {}), (Tokens{1, kSpaceH}));
  EXPECT_TRUE(tokenizer->adds_bos());
  EXPECT_EQ(tokenizer->bos(), 1);
  EXPECT_EQ(tokenizer->eos(), 2);

  TinyVocabulary without = hello();
  without.more = {{"tokenizer.ggml.add_space_prefix", test::bool_value(false)},
                  {"tokenizer.ggml.add_bos_token", test::bool_value(false)},
                  {"tokenizer.ggml.add_eos_token", test::bool_value(true)}};
  EXPECT_EQ(load(without)->encode("h", {}), (Tokens{kH, 2}));
}

TEST(SentencePiece, WritesWhatHasNoTokenAsBytes) {
  const auto tokenizer = load(hello());
  EXPECT_EQ(tokenizer->encode("é", kPlain), (Tokens{kSpaceSign, byte_token(0xC3), byte_token(0xA9)}));
  EXPECT_EQ(tokenizer->encode("\xFFh\xE2\x82", kPlain),
            (Tokens{kSpaceSign, byte_token(0xFF), kH, byte_token(0xE2), byte_token(0x82)}));
  EXPECT_EQ(tokenizer->piece(byte_token(0xC3), false), "\xC3");
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("é", kPlain), false), "é");
}

TEST(SentencePiece, TakesSpecialTextsForTokensOnlyWhenAsked) {
  const auto tokenizer = load(hello());
  EXPECT_EQ(tokenizer->encode("<s>h", kSpecial), (Tokens{1, kSpaceH}));
  const Tokens plain = tokenizer->encode("<s>h", kPlain);
  EXPECT_EQ(std::count(plain.begin(), plain.end(), 1), 0);
  EXPECT_EQ(tokenizer->decode(plain, false), "<s>h");
}

TEST(SentencePiece, FindsUserDefinedTextsAlways) {
  TinyVocabulary vocabulary = hello();
  vocabulary.tokens.push_back({"<b>", TokenType::kUserDefined});
  vocabulary.tokens.push_back({"<b>!", TokenType::kUserDefined});
  const auto tokenizer = load(vocabulary);
  const Token bold = tokenizer->find("<b>"), longer = tokenizer->find("<b>!");
  EXPECT_EQ(tokenizer->encode("h<b>h<b>!", kPlain), (Tokens{kSpaceH, bold, kSpaceH, longer}));
  EXPECT_EQ(tokenizer->piece(bold, false), "<b>");
}

TEST(SentencePiece, DecodesWithoutTheSpaceThatEncodingAdded) {
  const auto tokenizer = load(hello());
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("hello hell", {}), false), "hello hell");
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(" hello", {}), false), " hello");
  EXPECT_EQ(tokenizer->piece(kSpaceHell, false), " hell");
}

TEST(Tokenizer, HidesControlTokensUnlessAsked) {
  const auto tokenizer = load(hello());
  EXPECT_EQ(tokenizer->piece(1, false), "");
  EXPECT_EQ(tokenizer->piece(1, true), "<s>");
  EXPECT_TRUE(tokenizer->is_control(1));
  EXPECT_FALSE(tokenizer->is_control(kH));
  for (const Token outside : {-1, 100000}) {
    EXPECT_EQ(tokenizer->piece(outside, true), "");
    EXPECT_FALSE(tokenizer->is_control(outside));
    EXPECT_FALSE(tokenizer->is_end_of_generation(outside));
  }
}

TEST(Tokenizer, KnowsWhatEndsAnAnswer) {
  TinyVocabulary vocabulary = byte_pairs("gpt-2", {}, {"<|im_end|>", "<|other|>", "<|stop_here|>"});
  vocabulary.tokens.push_back({"<|endoftext|>"});  // some files have it as an ordinary token
  vocabulary.more = {{"tokenizer.ggml.eos_token_id", test::u32_value(258)}};
  const auto tokenizer = load(vocabulary);
  EXPECT_TRUE(tokenizer->is_end_of_generation(256));
  EXPECT_FALSE(tokenizer->is_end_of_generation(257));
  EXPECT_TRUE(tokenizer->is_end_of_generation(258));
  EXPECT_TRUE(tokenizer->is_end_of_generation(259));
  EXPECT_EQ(tokenizer->piece(259, false), "");
}

// A model whose file names only one of several would otherwise talk on behind the end of its answer.
TEST(Tokenizer, KnowsEveryFamilysEnd) {
  const std::vector<std::string> ends = {"<|eot_id|>",
                                         "<|eom_id|>",
                                         "<|im_end|>",
                                         "<|end|>",
                                         "<|return|>",
                                         "<end_of_turn>",
                                         "<|endoftext|>",
                                         "<|end_of_text|>",
                                         "<|fim_pad|>",
                                         "<|repo_name|>",
                                         "<|fim_repo|>",
                                         "<|file_sep|>",
                                         "<EOT>",
                                         "_<EOT>",
                                         "[EOT]",
                                         "[EOS]",
                                         "<|END_OF_TURN_TOKEN|>",
                                         "<end_of_utterance>",
                                         "<|eot|>",
                                         "<|eom|>",
                                         "<|calls|>",
                                         "<|flush|>",
                                         "<eos>",
                                         "<turn|>",
                                         "<|tool_response>",
                                         "<fim_pad>",
                                         "<repo_name>",
                                         "<file_sep>",
                                         "▁<EOT>",
                                         "<|EOT|>",
                                         "<|observation|>",
                                         "[e~[",
                                         "<seed:eos>",
                                         "[|endofturn|]",
                                         "<|end_of_sentence|>",
                                         "<|end_of_turn|>",
                                         "<|assistant_end|>",
                                         "<|eos|>",
                                         "<SPECIAL_12>",
                                         "<\uFF5Cend\u2581of\u2581sentence\uFF5C>",
                                         "</s>"};
  for (const std::string& end : ends) {
    const auto tokenizer = load(byte_pairs("gpt-2", {}, {"<|other|>", end}));
    EXPECT_FALSE(tokenizer->is_end_of_generation(256)) << end;
    EXPECT_TRUE(tokenizer->is_end_of_generation(257)) << end;
    EXPECT_TRUE(tokenizer->is_control(257)) << end;
  }
  TinyVocabulary html = byte_pairs("gpt-2", {}, {});
  html.tokens.push_back({"</s>"});
  EXPECT_FALSE(load(html)->is_end_of_generation(256)) << "a tag of HTML, not a control token";
}

TEST(Tokenizer, EndsNoHarmonyAnswerAtItsFirstMessage) {
  for (const auto& [one, other] : {std::pair("<|return|>", "<|call|>"), {"<|calls|>", "<|flush|>"}}) {
    const auto tokenizer = load(byte_pairs("gpt-4o", {}, {"<|end|>", one, other}));
    EXPECT_FALSE(tokenizer->is_end_of_generation(256)) << one;
    EXPECT_TRUE(tokenizer->is_control(256)) << one;
    EXPECT_TRUE(tokenizer->is_end_of_generation(257)) << one;
    EXPECT_TRUE(load(byte_pairs("gpt-4o", {}, {"<|end|>", one}))->is_end_of_generation(256)) << one;
  }
}

TEST(Tokenizer, EndsAnAnswerAtOneFamilysTurnsAndNotAtAnothers) {
  // GLM's next turn ends an answer; Phi-3 has <|user|>, too.
  EXPECT_TRUE(load(byte_pairs("gpt-2", {}, {"<|user|>", "<|observation|>"}))->is_end_of_generation(256));
  EXPECT_FALSE(load(byte_pairs("gpt-2", {}, {"<|user|>", "<|end|>"}))->is_end_of_generation(256));
  // Gemma 4 has </s> as a tag of HTML.
  EXPECT_FALSE(load(byte_pairs("gpt-2", {}, {"</s>", "<|tool_response>"}))->is_end_of_generation(256));
}

TEST(BytePairs, JoinsInTheOrderOfTheMerges) {
  const auto tokenizer = load(byte_pairs("gpt-2", {"l l", "h e", "he ll", "Ġ he"}));
  EXPECT_EQ(tokenizer->encode("hello hell", kPlain), (Tokens{258, 'o', ' ', 258}));
  EXPECT_EQ(tokenizer->encode(" he", kPlain), (Tokens{259}));
  EXPECT_EQ(tokenizer->model_name(), "gpt2");
  EXPECT_EQ(tokenizer->pre_name(), "gpt-2");
  EXPECT_EQ(tokenizer->find("hell"), 258);
  EXPECT_EQ(tokenizer->find("nothing"), kNoToken);
}

TEST(BytePairs, KeepsEveryByte) {
  const auto tokenizer = load(byte_pairs("llama-bpe", {"Ã ©", "Ġ Ġ"}));
  EXPECT_EQ(tokenizer->encode("é", kPlain), (Tokens{256}));
  std::mt19937_64 random(hearth::test::seed());
  for (int round = 0; round < 500; ++round) {
    std::string text(random() % 40, '\0');
    for (char& c : text) c = static_cast<char>(random());
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text, kPlain), false), text);
  }
}

TEST(BytePairs, TakesAWholeWordWithoutMergesWhereTheModelDoes) {
  TinyVocabulary vocabulary = byte_pairs("llama-bpe", {"a b"});
  vocabulary.tokens.push_back({"abc"});  // no merge leads here
  EXPECT_EQ(load(vocabulary)->encode("abc", kPlain), (Tokens{257}));
  vocabulary.pre = "gpt-2";
  EXPECT_EQ(load(vocabulary)->encode("abc", kPlain), (Tokens{256, 'c'}));
}

// As llama.cpp converts Gemma 4: SentencePiece's texts, and merges in the place of scores.
TinyVocabulary gemma4() {
  TinyVocabulary vocabulary =
      test::sentencepiece({{"▁"}, {"h"}, {"e"}, {"l"}, {"\n"}, {"he"}, {"ll"}, {"▁he"}, {"\n\n"}});
  vocabulary.model = "gemma4";
  vocabulary.merges = {"h e", "l l", "▁ he"};
  vocabulary.more = {{"tokenizer.ggml.bos_token_id", test::u32_value(1)},
                     {"tokenizer.ggml.add_bos_token", test::bool_value(false)}};
  return vocabulary;
}

TEST(BytePairs, JoinsTheCharactersOfLinesWhereTheModelDoes) {
  const auto tokenizer = load(gemma4());
  constexpr Token kHe = test::kFirstPiece + 5, kLl = kHe + 1, kSpaceHe = kHe + 2, kTwoLines = kHe + 3;
  constexpr Token kLine = test::kFirstPiece + 4, kSpace = test::kFirstPiece;
  EXPECT_EQ(tokenizer->encode("hell hell", kPlain), (Tokens{kHe, kLl, kSpaceHe, kLl}));
  EXPECT_EQ(tokenizer->encode("hell▁he", kPlain), (Tokens{kHe, kLl, kSpaceHe}));
  EXPECT_EQ(tokenizer->encode("  he", kPlain), (Tokens{kSpace, kSpaceHe}));
  EXPECT_EQ(tokenizer->encode("he\n\nhe\n\n\n", kPlain), (Tokens{kHe, kTwoLines, kHe, kLine, kLine, kLine}));
  EXPECT_EQ(tokenizer->encode("é", kPlain), (Tokens{test::byte_token(0xC3), test::byte_token(0xA9)}));
  EXPECT_EQ(tokenizer->encode("he", {}), (Tokens{1, kHe})) << "though the file denies it";
  std::mt19937_64 random(hearth::test::seed());
  for (int round = 0; round < 500; ++round) {
    std::string text;
    for (size_t n = random() % 40; n > 0; --n)
      text += random() % 2 == 0 ? "hel \n"[random() % 5] : static_cast<char>(random());
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text, kPlain), false), text);
  }
}

TEST(BytePairs, WritesBytesWhereAMergeMakesNoToken) {
  TinyVocabulary vocabulary = byte_pairs("gpt-2", {"a b", "ab c"});
  vocabulary.tokens.pop_back();  // "abc"
  vocabulary.tokens.pop_back();  // "ab"
  EXPECT_EQ(load(vocabulary)->encode("abab", kPlain), (Tokens{'a', 'b', 'a', 'b'}));
  vocabulary.tokens.push_back({"abc"});
  EXPECT_EQ(load(vocabulary)->encode("abc", kPlain), (Tokens{256}));
}

TEST(BytePairs, GivesTheUnknownTokenForAByteWithoutToken) {
  TinyVocabulary vocabulary = byte_pairs("gpt-2", {});
  vocabulary.tokens['x'] = {"<unk>", TokenType::kUnknown};
  EXPECT_EQ(load(vocabulary)->encode("axb", kPlain), (Tokens{'a', 'b'}));
  vocabulary.more = {{"tokenizer.ggml.unknown_token_id", test::u32_value('x')}};
  EXPECT_EQ(load(vocabulary)->encode("axb", kPlain), (Tokens{'a', 'x', 'b'}));
}

TEST(BytePairs, SplitsAsDefaultSaysOnlyWhereTheFileDoesNotSay) {
  TinyVocabulary vocabulary = byte_pairs("", {"1 2"});
  EXPECT_EQ(load(vocabulary)->encode("12", kPlain), (Tokens{256}));
  vocabulary.pre = "qwen2";
  EXPECT_EQ(load(vocabulary)->encode("12", kPlain), (Tokens{'1', '2'}));
  vocabulary.pre = "no-such";
  EXPECT_NE(error_of(vocabulary).find("'no-such'"), std::string::npos);
  EXPECT_NE(error_of(vocabulary).find("llama-bpe"), std::string::npos);
}

// What joins next by the definition, found by looking at all pairs each time.
Tokens join_slowly(const std::string& text, const std::vector<std::string>& merges) {
  std::vector<std::string> parts;
  for (const char c : text) parts.emplace_back(1, c);
  for (;;) {
    size_t best = merges.size(), where = 0;
    for (size_t i = 0; i + 1 < parts.size(); ++i)
      for (size_t rank = 0; rank < best; ++rank)
        if (merges[rank] == parts[i] + " " + parts[i + 1]) best = rank, where = i;
    if (best == merges.size()) break;
    parts[where] += parts[where + 1];
    parts.erase(parts.begin() + static_cast<ptrdiff_t>(where) + 1);
  }
  Tokens tokens;
  for (const std::string& part : parts) {
    if (part.size() == 1) {
      tokens.push_back(part[0]);
      continue;
    }
    for (size_t rank = 0; rank < merges.size(); ++rank) {
      std::string joined = merges[rank];
      joined.erase(joined.find(' '), 1);
      if (joined == part) {
        tokens.push_back(static_cast<Token>(256 + rank));
        break;
      }
    }
  }
  return tokens;
}

TEST(BytePairs, AgreesWithTheDefinitionOnRandomMerges) {
  std::mt19937_64 random(hearth::test::seed());
  for (int round = 0; round < 200; ++round) {
    std::vector<std::string> known = {"a", "b", "c"}, merges;
    while (merges.size() < 12) {
      const std::string left = known[random() % known.size()], right = known[random() % known.size()];
      if (std::find(known.begin(), known.end(), left + right) != known.end()) continue;
      known.push_back(left + right);
      merges.push_back(left + " " + right);
    }
    std::shuffle(merges.begin(), merges.end(), random);  // a part may be made after the whole
    const auto tokenizer = load(byte_pairs("gpt-2", merges));
    for (int i = 0; i < 20; ++i) {
      std::string text(1 + random() % 30, 'a');
      for (char& c : text) c = "abc"[random() % 3];
      ASSERT_EQ(tokenizer->encode(text, kPlain), join_slowly(text, merges)) << text;
    }
  }
}

TEST(Tokenizer, StaysFastOnOneVeryLongWord) {
  std::vector<std::string> merges;
  std::vector<test::TinyToken> pieces = {{"a"}};
  for (std::string part = "a"; part.size() < 64; part += part) {
    merges.push_back(part + " " + part);
    pieces.push_back({part + part, TokenType::kNormal, static_cast<float>(part.size())});
  }
  const size_t n = 1 << 20;  // quadratic work would take hours
  const std::string text(n, 'a');
  EXPECT_EQ(load(byte_pairs("llama-bpe", merges))->encode(text, kPlain).size(), n / 64);
  EXPECT_EQ(load(sentencepiece(pieces))->encode(text, kPlain).size(), n / 64 + 1);
  for (const char* pre : {"llama-bpe", "deepseek-llm", "gpt-4o", "jais-2", "superbpe", "default"}) {
    const auto tokenizer = load(byte_pairs(pre, merges));
    for (const char c : {' ', '7', '\n', '\'', '.', 'A', '\xCC'}) {
      const std::string same(n / 8, c);
      EXPECT_EQ(tokenizer->decode(tokenizer->encode(same, kPlain), false), same) << pre << " " << c;
    }
  }
}

TinyVocabulary wordpiece() {
  TinyVocabulary vocabulary{.model = "bert", .pre = {}, .tokens = {}, .merges = {}};
  vocabulary.tokens = {{"[UNK]", TokenType::kControl},
                       {"[CLS]", TokenType::kControl},
                       {"[SEP]", TokenType::kControl},
                       {"▁play"},
                       {"ing"},
                       {"▁caf"},
                       {"e"},
                       {"▁!"},
                       {"▁天"},
                       {"▁pl"}};
  vocabulary.more = {{"tokenizer.ggml.unknown_token_id", test::u32_value(0)},
                     {"tokenizer.ggml.cls_token_id", test::u32_value(1)},
                     {"tokenizer.ggml.seperator_token_id", test::u32_value(2)}};
  return vocabulary;
}

TEST(WordPiece, TakesTheLongestBeginningOfEachPlainWord) {
  const auto tokenizer = load(wordpiece());
  EXPECT_EQ(tokenizer->encode("Playing  CAFÉ!天天", kPlain), (Tokens{3, 4, 5, 6, 7, 8, 8}));
  EXPECT_EQ(tokenizer->encode("playin", kPlain), (Tokens{0}));
  EXPECT_EQ(tokenizer->encode("play\xFF!", {}), (Tokens{1, 3, 7, 2}));
  EXPECT_EQ(tokenizer->decode(Tokens{3, 4, 7}, false), "playing !");
}

TEST(WordPiece, TakesWordsOfMoreThan100CharactersForUnknown) {
  TinyVocabulary vocabulary = wordpiece();
  vocabulary.tokens.push_back({"▁é"});
  vocabulary.tokens.push_back({"é"});
  vocabulary.tokens.push_back({"▁e"});
  const auto tokenizer = load(vocabulary);
  EXPECT_EQ(tokenizer->encode(std::string(100, 'e'), kPlain).size(), 100u);
  EXPECT_EQ(tokenizer->encode(std::string(101, 'e') + " play", kPlain), (Tokens{0, 3}));
}

TEST(Unigram, TakesTheBestSumOfScores) {
  const auto tokenizer = load(test::unigram());
  EXPECT_EQ(tokenizer->encode("xy", kPlain), (Tokens{8, 5}));  // " x" + y: -5.5; " " + xy: -6
  EXPECT_EQ(tokenizer->encode("zxy", {}), (Tokens{3, 6, 7, 1}));
  EXPECT_EQ(tokenizer->encode("XY", kPlain), (Tokens{8, 5, 5}));  // the character map
  EXPECT_EQ(tokenizer->encode("", kPlain), Tokens{});
  EXPECT_EQ(tokenizer->encode("z??\xFFz", kPlain), (Tokens{3, 6, 2, 6}));  // one unknown token for neighbours
  EXPECT_EQ(tokenizer->encode("</s>", kPlain), (Tokens{3, 2}));
  EXPECT_EQ(tokenizer->decode(Tokens{8, 5, 3, 6}, false), "xy z");
  EXPECT_EQ(tokenizer->find("xy"), 7);
  EXPECT_EQ(tokenizer->find("xyz"), kNoToken);
}

TEST(Unigram, MergesSpacesWhereTheFileSaysSo) {
  TinyVocabulary vocabulary = test::unigram();
  EXPECT_EQ(load(vocabulary)->encode(" z  z ", kPlain), (Tokens{3, 3, 6, 3, 3, 6, 3}));
  vocabulary.more.push_back({"tokenizer.ggml.remove_extra_whitespaces", test::bool_value(true)});
  EXPECT_EQ(load(vocabulary)->encode(" z  z ", kPlain), (Tokens{3, 6, 3, 6}));
  vocabulary.more.push_back({"tokenizer.ggml.add_space_prefix", test::bool_value(false)});
  EXPECT_EQ(load(vocabulary)->encode(" z  z ", kPlain), (Tokens{6, 3, 6}));
}

TEST(Unigram, StaysFastOnOneVeryLongWord) {
  const size_t n = 1 << 20;
  EXPECT_EQ(load(test::unigram())->encode(std::string(n, 'z'), kPlain).size(), n + 1);
}

TEST(Unigram, RefusesBrokenScoresAndMaps) {
  TinyVocabulary vocabulary = test::unigram();
  vocabulary.tokens[4].score = std::numeric_limits<float>::quiet_NaN();
  EXPECT_NE(error_of(vocabulary).find("token 4 is not finite"), std::string::npos);
  vocabulary = test::unigram();
  vocabulary.more[0].second = gguf::test::array_value(0, 6, std::string("\xFF\xFF\0\0ab", 6));
  EXPECT_NE(error_of(vocabulary).find("precompiled_charsmap"), std::string::npos);
}

TEST(Tokenizer, RefusesWhatItCannotUse) {
  TinyVocabulary vocabulary = hello();
  vocabulary.model = "rwkv";
  EXPECT_NE(error_of(vocabulary).find("'rwkv'"), std::string::npos);
  EXPECT_NE(error_of(vocabulary).find("bert, gemma4, gpt2, llama, t5"), std::string::npos);

  vocabulary = hello();
  vocabulary.tokens.clear();
  EXPECT_NE(error_of(vocabulary).find("tokenizer.ggml.tokens"), std::string::npos);

  vocabulary = hello();
  vocabulary.more = {{"tokenizer.ggml.eos_token_id", test::u32_value(5000)}};
  EXPECT_NE(error_of(vocabulary).find("tokenizer.ggml.eos_token_id"), std::string::npos);
  vocabulary.more = {{"tokenizer.ggml.eos_token_id", test::u32_value(0xFFFFFFFF)}};
  EXPECT_EQ(load(vocabulary)->eos(), kNoToken);

  vocabulary = hello();
  vocabulary.tokens[0].type = static_cast<TokenType>(77);
  EXPECT_NE(error_of(vocabulary).find("tokenizer.ggml.token_type"), std::string::npos);
}

TEST(Tokenizer, SurvivesDamagedVocabularies) {
  std::mt19937_64 random(hearth::test::seed());
  int loaded = 0;
  for (const TinyVocabulary& vocabulary :
       {hello(), byte_pairs("llama-bpe", {"a b", "ab c", "Ġ a"}, {"<x>"}), wordpiece(), test::unigram()}) {
    const std::string whole = vocabulary.bytes();
    for (int round = 0; round < 3000; ++round) {
      std::string damaged = whole;
      for (size_t n = 1 + random() % 4; n > 0; --n) damaged[random() % damaged.size()] = static_cast<char>(random());
      const auto file = gguf::File::parse(gguf::test::as_bytes(damaged), "damaged");
      if (!file) continue;
      const auto tokenizer = Tokenizer::load(**file);
      if (!tokenizer) continue;
      ++loaded;
      const Tokens tokens = (*tokenizer)->encode("<x>abc hello é\xFF", {.add_special = true, .parse_special = true});
      for (const Token token : tokens) ASSERT_LT(static_cast<size_t>(token), (*tokenizer)->size());
      (*tokenizer)->decode(tokens, true);
    }
  }
  EXPECT_GT(loaded, 0);
}

}  // namespace
}  // namespace hearth::text
