// Each pre-tokenizer against the regular expressions that it stands for, run by PCRE2 on random texts.
#include "text/pretokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <gtest/gtest.h>
#include <pcre2.h>

#include <memory>
#include <set>

#include "support/support.h"

namespace hearth::text {
namespace {

class Regex {
 public:
  explicit Regex(const std::string& pattern) {
    int error = 0;
    size_t at = 0;
    code_ = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), PCRE2_UTF | PCRE2_UCP, &error,
                          &at, nullptr);
    if (code_ == nullptr) throw std::runtime_error("at " + std::to_string(at) + " of " + pattern);
    pcre2_jit_compile(code_, PCRE2_JIT_COMPLETE);
    match_ = pcre2_match_data_create_from_pattern(code_, nullptr);
  }
  Regex(const Regex&) = delete;
  ~Regex() {
    pcre2_match_data_free(match_);
    pcre2_code_free(code_);
  }

  // The matches and the stretches between them. An empty match cuts, too.
  std::vector<std::string> split(const std::string& text) const {
    std::vector<std::string> pieces;
    size_t begin = 0, from = 0;
    const auto add = [&](size_t end) {
      if (end > begin) pieces.push_back(text.substr(begin, end - begin));
      begin = end;
    };
    while (from <= text.size() &&
           pcre2_match(code_, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from, 0, match_, nullptr) > 0) {
      const size_t* span = pcre2_get_ovector_pointer(match_);
      add(span[0]);
      add(span[1]);
      from = span[1];
      if (span[1] == span[0]) {
        do ++from;
        while (from < text.size() && (static_cast<uint8_t>(text[from]) & 0xC0) == 0x80);
      }
    }
    add(text.size());
    return pieces;
  }

 private:
  pcre2_code* code_;
  pcre2_match_data* match_;
};

struct Reference {
  const char* name;
  std::vector<std::string> passes;
};

#define GPT2_WORDS R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"
#define ANY_CASE R"((?i:'s|'t|'re|'ve|'m|'ll|'d))"
#define SPACES R"(|\s*[\r\n]+|\s+(?!\S)|\s+)"
#define LLAMA3_WORDS(digits) ANY_CASE R"(|[^\r\n\p{L}\p{N}]?\p{L}+|)" digits R"(| ?[^\s\p{L}\p{N}]+[\r\n]*)" SPACES
#define UPPER R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])"
#define LOWER R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])"
#define CASED(more) R"([^\r\n\p{L}\p{N}]?)" UPPER "*" LOWER "+" more R"(|[^\r\n\p{L}\p{N}]?)" UPPER "+" LOWER "*" more
#define GPT4O_WORDS(digits) CASED(ANY_CASE "?") "|" digits R"(| ?[^\s\p{L}\p{N}]+[\r\n/]*)" SPACES
#define HAN_UPPER R"((?:(?!\p{sc:Han})[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]))"
#define HAN_LOWER R"((?:(?!\p{sc:Han})[\p{Ll}\p{Lm}\p{Lo}\p{M}]))"
#define DEEPSEEK3_WORDS \
  R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*)" SPACES
#define DEEPSEEK_CJK "[一-龥ࠀ-一가-퟿]+"
#define BLOOM_WORDS R"( ?[^(\s|.,!?…。，、।۔،)]+)"
#define GROUPS R"((?=(?:\p{N}{3})+(?!\p{N})))"
#define DEEPSEEK_LETTERS                                                                                                                                                                                \
  "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-"                    \
  "ὗὙὛὝὟ-"                                                                                                                                                                                    \
  "ώᾀ-ᾴᾶ-ᾼ\\x{1FBE}ῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼ"                                                                                                                         \
  "ℂℇℊ-ℓℕℙ-ℝℤ\\x{2126}ℨ\\x{212A}-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-" \
  "𐓓𐓘-"                                                                                                                                                                                           \
  "𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃"

const std::vector<Reference> kReferences = {
    {"default", {R"([\p{P}$+<=>^~|]+)", GPT2_WORDS, R"(\p{N}+)", "[0-9][0-9][0-9]"}},
    {"gpt-2", {GPT2_WORDS}},
    {"starcoder", {R"(\p{N})", GPT2_WORDS}},
    {"falcon", {R"([\p{P}$+<=>^~|`]+)", GPT2_WORDS, "[0-9][0-9][0-9]"}},
    {"llama-bpe", {LLAMA3_WORDS(R"(\p{N}{1,3})")}},
    {"dbrx", {LLAMA3_WORDS(R"(\p{N}{1,3})")}},
    {"qwen2", {LLAMA3_WORDS(R"(\p{N})")}},
    {"bailingmoe",
     {R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)"}},
    {"qwen35", {ANY_CASE R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*)" SPACES}},
    {"seed-coder", {ANY_CASE R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+)" SPACES}},
    {"jais-2",
     {ANY_CASE
      R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1})"}},
    {"exaone-moe",
     {ANY_CASE
      R"(|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+)"}},
    {"gpt-4o", {GPT4O_WORDS(R"(\p{N}{1,3})")}},
    {"tekken", {CASED("") R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*)" SPACES}},
    {"youtu",
     {"[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+",
      GPT4O_WORDS(R"(\p{N})")}},
    {"kimi-k2",
     {R"(\p{sc:Han}+|[^\r\n\p{L}\p{N}]?)" HAN_UPPER "*" HAN_LOWER "+" ANY_CASE R"(?|[^\r\n\p{L}\p{N}]?)" HAN_UPPER
      "+" HAN_LOWER "*" ANY_CASE R"(?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)" SPACES}},
    {"deepseek-llm",
     {"[\r\n]", "\\s?[" DEEPSEEK_LETTERS "]+", "\\s?[!-/:-~！-／：-～‘-‟　-。]+", "\\s+\\z", DEEPSEEK_CJK,
      R"(\p{N}+)"}},
    {"deepseek-coder", {"[\r\n]", R"(\s?\p{L}+)", R"(\s?\p{P}+)", DEEPSEEK_CJK, R"(\p{N})"}},
    {"deepseek-v3", {R"(\p{N}{1,3})", "[一-龥぀-ゟ゠-ヿ]+", DEEPSEEK3_WORDS}},
    {"bloom", {BLOOM_WORDS}},
    {"viking", {BLOOM_WORDS, R"(\p{N})"}},
    {"superbpe", {R"(\p{N}+)", GROUPS}},
    {"afmoe",
     {R"(\p{N}+)", GROUPS,
      "[一-鿿㐀-䶿豈-﫿぀-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿຀-໿ក-៿က-႟ꩠ-ꩿꧠ-꧿가-힯ᄀ-ᇿ]+",
      DEEPSEEK3_WORDS}},
    {"tiny_aya", {R"(\p{Nd}+)", R"((?=(?:\p{Nd}{3})+(?!\p{Nd})))", GPT4O_WORDS(R"(\p{N}{1,3})")}},
    {"gemma4", {R"(\n+)"}},
    {"chameleon", {"[\\t\\n]|    |  ", R"(\p{N})", R"([\p{P}!-/:-@\[-`{-~])", GPT2_WORDS}},
};

// Characters of every kind that some expression tells apart.
const std::vector<std::string> kAlphabet = {
    "a",      "b",      "s",      "t",      "r",      "e",      "v",      "l",      "d",     "m",  "A",  "S",
    "L",      "T",      "Z",      "'",      "'",      "'",      " ",      " ",      " ",     " ",  "\n", "\n",
    "\r",     "\t",     "\u00A0", "\u3000", "\u2028", "0",      "1",      "7",      "9",     ".",  ",",  "!",
    "/",      "-",      "(",      "|",      "$",      "+",      "<",      "^",      "~",     "`",  "\"", "_",
    "é",      "É",      "ß",      "Ж",      "ж",      "Ω",      "ǅ",      "ʰ",      "ƻ",     "ª",  "א",  "क",
    "\u093F", "\u0301", "ก",      "เ",      "၀",      "က",      "ខ",      "\u17C6", "中",    "的", "〇", "々",
    "あ",     "ア",     "ー",     "한",     "ㄱ",     "ㄅ",     "ﬁ",      "Ａ",     "𐐀",     "𝒜",  "٣",  "Ⅷ",
    "½",      "²",      "𝟘",      "。",     "，",     "、",     "…",      "“",      "’",     "—",  "！", "～",
    "€",      "©",      "🎉",      "👩",      "\u200D", "\uFE0F", "\u0000", "\u00AD", "\u0378"};

std::vector<std::string> split(const Pretokenizer& pretokenizer, const std::string& text) {
  std::vector<std::string> words;
  split_words(pretokenizer.passes, text, [&](std::string_view word) { words.emplace_back(word); });
  return words;
}

class Pretokenizers : public testing::TestWithParam<Reference> {};

TEST_P(Pretokenizers, CutAsTheirExpressionsSay) {
  const Pretokenizer* pretokenizer = find_pretokenizer(GetParam().name);
  ASSERT_NE(pretokenizer, nullptr);
  std::vector<std::unique_ptr<Regex>> passes;
  for (const std::string& pass : GetParam().passes) passes.push_back(std::make_unique<Regex>(pass));
  std::mt19937_64 random(hearth::test::seed());
  for (int round = 0; round < 20000; ++round) {
    // Few different characters make runs; many make borders.
    const size_t kinds = 1 + random() % 12;
    std::vector<std::string> letters;
    while (letters.size() < kinds) letters.push_back(kAlphabet[random() % kAlphabet.size()]);
    std::string text;
    for (size_t n = random() % 30; n > 0; --n) text += letters[random() % kinds];
    std::vector<std::string> expected = {text};
    for (const auto& pass : passes) {
      std::vector<std::string> pieces;
      for (const std::string& piece : expected)
        for (std::string& part : pass->split(piece)) pieces.push_back(std::move(part));
      expected = std::move(pieces);
    }
    ASSERT_EQ(split(*pretokenizer, text), expected) << testing::PrintToString(text);
  }
}

TEST_P(Pretokenizers, KeepEveryByteOfAnyText) {
  const Pretokenizer* pretokenizer = find_pretokenizer(GetParam().name);
  ASSERT_NE(pretokenizer, nullptr);
  std::mt19937_64 random(hearth::test::seed());
  for (int round = 0; round < 2000; ++round) {
    std::string text, joined;
    for (size_t n = random() % 40; n > 0; --n)
      text += random() % 3 == 0 ? std::string(1, static_cast<char>(random())) : kAlphabet[random() % kAlphabet.size()];
    for (const std::string& word : split(*pretokenizer, text)) {
      EXPECT_FALSE(word.empty());
      joined += word;
    }
    ASSERT_EQ(joined, text);
  }
}

INSTANTIATE_TEST_SUITE_P(ByName, Pretokenizers, testing::ValuesIn(kReferences), [](const auto& test_case) {
  std::string name = test_case.param.name;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(Pretokenizer, HasAReferenceForEachEntryAndUniqueNames) {
  std::set<std::string_view> names;
  for (const Pretokenizer& entry : all_pretokenizers()) {
    bool has_reference = false;
    for (const std::string_view name : entry.names) {
      EXPECT_TRUE(names.insert(name).second) << name;
      for (const Reference& reference : kReferences) has_reference |= name == reference.name;
    }
    EXPECT_TRUE(has_reference) << entry.names[0];
  }
  EXPECT_EQ(find_pretokenizer("no-such"), nullptr);
}

}  // namespace
}  // namespace hearth::text
