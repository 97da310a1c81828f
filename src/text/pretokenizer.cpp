// The pre-tokenizers by name. Each is the regular expression of the model's tokenizer.json (pre_tokenizer)
// written with the parts in scanner.h; which name stands for which expression is a convention of the GGUF
// converters (convert_hf_to_gguf.py of llama.cpp).
#include "text/pretokenizer.h"

#include <algorithm>
#include <array>
#include <iterator>

namespace hearth::text {
namespace {

// Classes.

constexpr Class kLetters = in<kLetter>;
constexpr Class kNumbers = in<kNumber>;
constexpr Class kBlanks = in<kBlank>;
constexpr Class kOthers = not_in<kSpace | kLetter | kNumber>;        // [^\s\p{L}\p{N}]
constexpr Class kWordPrefix = not_in<kNewline | kLetter | kNumber>;  // [^\r\n\p{L}\p{N}]
constexpr Class kNewlines = in<kNewline>;
constexpr Class kNewlinesOrSlash = any<in<kNewline>, is<'/'>>;
constexpr Class kUpperCase = in<kUpper | kTitle | kModifier | kOtherLetter | kMark>;
constexpr Class kLowerCase = in<kLower | kModifier | kOtherLetter | kMark>;
constexpr Class kAsciiLetters = any<between<'A', 'Z'>, between<'a', 'z'>>;
constexpr Class kAsciiPunctuation = any<between<'!', '/'>, between<':', '@'>, between<'[', '`'>, between<'{', '~'>>;
constexpr Class kKana = between<0x3040, 0x30FF>;
constexpr Class kIdeographs = between<0x4E00, 0x9FA5>;
constexpr Class kDeepSeekCjk = any<between<0x0800, 0x9FA5>, between<0xAC00, 0xD7FF>>;

template <Class kClass>
bool not_han(Char c) {
  return kClass(c) && !in<kHan>(c);
}

// Cased letters as DeepSeek-LLM's tokenizer.json lists them (not quite \p{Lu}\p{Ll}\p{Lt}).
bool deepseek_letter(Char c) {
  static constexpr uint32_t kRanges[][2] = {
      {0x41, 0x5A},       {0x61, 0x7A},       {0xB5, 0xB5},       {0xC0, 0xD6},       {0xD8, 0xF6},
      {0xF8, 0x1BA},      {0x1BC, 0x1BF},     {0x1C4, 0x293},     {0x295, 0x2AF},     {0x370, 0x373},
      {0x376, 0x377},     {0x37B, 0x37D},     {0x37F, 0x37F},     {0x386, 0x386},     {0x388, 0x38A},
      {0x38C, 0x38C},     {0x38E, 0x3A1},     {0x3A3, 0x3F5},     {0x3F7, 0x481},     {0x48A, 0x52F},
      {0x531, 0x556},     {0x10A0, 0x10C5},   {0x13A0, 0x13F5},   {0x13F8, 0x13FD},   {0x1C90, 0x1CBA},
      {0x1CBD, 0x1CBF},   {0x1D00, 0x1D2B},   {0x1D6B, 0x1D77},   {0x1D79, 0x1D9A},   {0x1E00, 0x1F15},
      {0x1F18, 0x1F1D},   {0x1F20, 0x1F45},   {0x1F48, 0x1F4D},   {0x1F50, 0x1F57},   {0x1F59, 0x1F59},
      {0x1F5B, 0x1F5B},   {0x1F5D, 0x1F5D},   {0x1F5F, 0x1F7D},   {0x1F80, 0x1FB4},   {0x1FB6, 0x1FBC},
      {0x1FBE, 0x1FBE},   {0x1FC2, 0x1FC4},   {0x1FC6, 0x1FCC},   {0x1FD0, 0x1FD3},   {0x1FD6, 0x1FDB},
      {0x1FE0, 0x1FEC},   {0x1FF2, 0x1FF4},   {0x1FF6, 0x1FFC},   {0x2102, 0x2102},   {0x2107, 0x2107},
      {0x210A, 0x2113},   {0x2115, 0x2115},   {0x2119, 0x211D},   {0x2124, 0x2124},   {0x2126, 0x2126},
      {0x2128, 0x2128},   {0x212A, 0x212D},   {0x212F, 0x2134},   {0x2139, 0x2139},   {0x213C, 0x213F},
      {0x2145, 0x2149},   {0x214E, 0x214E},   {0x2183, 0x2184},   {0x2C00, 0x2C7B},   {0x2C7E, 0x2CE4},
      {0x2CEB, 0x2CEE},   {0x2CF2, 0x2CF3},   {0xA640, 0xA66D},   {0xA680, 0xA69B},   {0xA722, 0xA76F},
      {0xA771, 0xA787},   {0xA78B, 0xA78E},   {0xAB70, 0xABBF},   {0xFB00, 0xFB06},   {0xFB13, 0xFB17},
      {0xFF21, 0xFF3A},   {0xFF41, 0xFF5A},   {0x10400, 0x1044F}, {0x104B0, 0x104D3}, {0x104D8, 0x104FB},
      {0x10C80, 0x10CB2}, {0x10CC0, 0x10CF2}, {0x118A0, 0x118DF}, {0x1E900, 0x1E943}};
  if (c.code < 0x80) return kAsciiLetters(c);
  const auto* range = std::upper_bound(std::begin(kRanges), std::end(kRanges), c.code,
                                       [](uint32_t code, const uint32_t(&r)[2]) { return code < r[0]; });
  return c.code <= range[-1][1];
}

// [!-/:-~！-／：-～‘-‟　-。], as the same file has it
constexpr Class kDeepSeekPunctuation = any<between<'!', '/'>, between<':', '~'>, between<0xFF01, 0xFF0F>,
                                           between<0xFF1A, 0xFF5E>, between<0x2018, 0x201F>, between<0x3000, 0x3002>>;
// [\p{P}\$\+<=>\^~\|] and, for Falcon, the backquote
constexpr Class kPunctuationAndMath =
    any<in<kPunctuation>, is<'$'>, is<'+'>, is<'<'>, is<'='>, is<'>'>, is<'^'>, is<'~'>, is<'|'>>;
// [^(\s|.,!?…。，、।۔،)]
constexpr Class kBloomWord = none<in<kSpace>, is<'('>, is<'|'>, is<'.'>, is<','>, is<'!'>, is<'?'>, is<0x2026>,
                                  is<0x3002>, is<0xFF0C>, is<0x3001>, is<0x0964>, is<0x06D4>, is<0x060C>, is<')'>>;
// The scripts that AFMoE keeps together: ideographs, kana, Thai, Lao, Khmer, Burmese, Hangul.
constexpr Class kAfmoeScripts =
    any<between<0x4E00, 0x9FFF>, between<0x3400, 0x4DBF>, between<0xF900, 0xFAFF>, kKana, between<0xFF65, 0xFF9F>,
        between<0x2F00, 0x2FDF>, between<0x0E40, 0x0E7F>, between<0x0E80, 0x0EFF>, between<0x1780, 0x17FF>,
        between<0x1000, 0x109F>, between<0xAA60, 0xAA7F>, between<0xA9E0, 0xA9FF>, between<0xAC00, 0xD7AF>,
        between<0x1100, 0x11FF>>;
constexpr Class kYoutuPunctuation =
    any<is<0xFF01>, is<0x2026>, is<0x201C>, is<0x201D>, is<0x2018>, is<0x2019>, is<0x2014>, is<0xFF1A>, is<0xFF1B>,
        is<0xFF0C>, between<0x3001, 0x303F>, between<0xFE30, 0xFE4F>>;

// Alternatives of single models.

// \s{512}(?!\S)|\s{256}(?!\S)|...|\s{4}(?!\S)|\s{1,2}(?!\S)|\s
size_t halving_spaces(const CharReader& text, size_t at) {
  constexpr size_t kLongest = 512;
  std::array<size_t, kLongest + 1> ends;  // behind each space
  ends[0] = at;
  size_t count = 0;
  for (Char c = text.at(at); count < kLongest && in<kSpace>(c); c = text.at(ends[count])) {
    ends[count + 1] = ends[count] + c.bytes;
    ++count;
  }
  if (count == 0) return 0;
  for (const size_t n : {512, 256, 128, 64, 32, 16, 8, 4, 2, 1}) {
    if (n > count) continue;
    const Char next = text.at(ends[n]);
    if (next.flags == 0 || in<kSpace>(next)) return ends[n];
  }
  return ends[1];
}

// [^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+
size_t several_words(const CharReader& text, size_t at) {
  const Char first = text.at(at);
  if (kWordPrefix(first)) at += first.bytes;
  size_t end = 0;
  for (size_t next = at; kLetters(text.at(next));) {
    end = skip<in<kMark>>(text, next + text.at(next).bytes);
    next = kBlanks(text.at(end)) ? end + 1 : end;
  }
  return end;
}

// [\t\n]|    |  (four spaces, or two)
size_t chameleon_space(const CharReader& text, size_t at) {
  const Char c = text.at(at);
  if (c.code == '\t' || c.code == '\n') return at + 1;
  size_t blanks = 0;
  while (blanks < 4 && kBlanks(text.at(at + blanks))) ++blanks;
  return blanks == 4 ? at + 4 : blanks >= 2 ? at + 2 : 0;
}

// [0-9][0-9][0-9]
size_t three_digits(const CharReader& text, size_t at) {
  return up_to<3, between<'0', '9'>>(text, at) == at + 3 ? at + 3 : 0;
}

// [ascii punctuation][A-Za-z]+
size_t punctuation_then_word(const CharReader& text, size_t at) {
  return kAsciiPunctuation(text.at(at)) ? run<kAsciiLetters>(text, at + 1) : 0;
}

// Scanners.

constexpr Scanner kGpt2 = search<contraction<false>, prefixed<kBlanks, kLetters>, prefixed<kBlanks, kNumbers>,
                                 prefixed<kBlanks, kOthers>, spaces>;
constexpr Scanner kEachNumber = search<one<kNumbers>>;
constexpr Scanner kThreeDigits = search<up_to<3, kNumbers>>;

constexpr Alternative kAnyContraction = contraction<true>;
constexpr Alternative kWord = prefixed<kWordPrefix, kLetters>;
constexpr Alternative kSymbols = tailed<prefixed<kBlanks, kOthers>, kNewlines>;

template <int kDigits>
constexpr Scanner kLlama3 = search<kAnyContraction, kWord, up_to<kDigits, kNumbers>, kSymbols, newlines, spaces>;

constexpr Alternative kCasedWord = cased<kWordPrefix, kUpperCase, kLowerCase>;
constexpr Alternative kSymbolsAndSlash = tailed<prefixed<kBlanks, kOthers>, kNewlinesOrSlash>;
template <int kDigits>
constexpr Scanner kGpt4o =
    search<maybe<kCasedWord, kAnyContraction>, up_to<kDigits, kNumbers>, kSymbolsAndSlash, newlines, spaces>;

constexpr Scanner kDeepSeek3 =
    search<punctuation_then_word, prefixed<not_in<kNewline | kLetter | kPunctuation | kSymbol>, in<kLetter | kMark>>,
           tailed<prefixed<kBlanks, in<kPunctuation | kSymbol>>, kNewlines>, newlines, spaces>;

constexpr Alternative kCasedWordNotHan = cased<kWordPrefix, not_han<kUpperCase>, not_han<kLowerCase>>;

constexpr bool kIgnoreMerges = true, kAddsBos = true;

const Pretokenizer kPretokenizers[] = {
    {{"default"}, {search<run<kPunctuationAndMath>>, kGpt2, search<run<kNumbers>>, search<three_digits>}},
    {{"gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "granite-docling", "jina-es", "jina-de", "jina-v2-es",
      "jina-v2-de", "jina-v1-en", "jina-v2-code", "roberta-bpe", "gigachat", "a.x-4.0", "mellum", "modern-bert",
      "exaone4"},
     {kGpt2}},
    {{"starcoder", "refact", "command-r", "cohere2_moe", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2"},
     {kEachNumber, kGpt2}},
    {{"falcon"}, {search<run<any<kPunctuationAndMath, is<'`'>>>>, kGpt2, search<three_digits>}},
    {{"llama-bpe", "llama3", "llama-v3", "laguna", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2",
      "jina-v5-nano"},
     {kLlama3<3>},
     kIgnoreMerges,
     kAddsBos},
    {{"dbrx", "smaug-bpe", "chatglm-bpe", "glm4"}, {kLlama3<3>}},
    {{"qwen2", "deepseek-r1-qwen", "kormo", "openpangu", "f2llmv2", "megrez", "stablelm2", "hunyuan", "solar-open",
      "grok-2", "bailingmoe", "bailingmoe2", "llada-moe"},
     {kLlama3<1>}},
    {{"qwen35"},
     {search<kAnyContraction, prefixed<kWordPrefix, in<kLetter | kMark>>, one<kNumbers>,
             tailed<prefixed<kBlanks, not_in<kSpace | kLetter | kMark | kNumber>>, kNewlines>, newlines, spaces>}},
    {{"seed-coder"}, {search<kAnyContraction, kWord, one<kNumbers>, prefixed<kBlanks, kOthers>, newlines, spaces>}},
    {{"jais-2"}, {search<kAnyContraction, kWord, up_to<3, kNumbers>, kSymbols, newlines, halving_spaces>}},
    {{"exaone-moe"},
     {search<kAnyContraction, several_words, one<kNumbers>, maybe<prefixed<kBlanks, kOthers>, one<kNewlinesOrSlash>>,
             newlines, spaces>}},
    {{"gpt-4o", "llama4", "kanana2", "minimax-m2"}, {kGpt4o<3>}},
    {{"tekken"}, {search<kCasedWord, one<kNumbers>, kSymbolsAndSlash, newlines, spaces>}, kIgnoreMerges, kAddsBos},
    {{"tiny_aya"}, {search<run<in<kDecimal>>>, groups_of_three<in<kDecimal>>, kGpt4o<3>}},
    {{"youtu"},
     {search<run<any<between<0xAC00, 0xD7A3>, between<0x3131, 0x318E>>>, run<kYoutuPunctuation>,
             run<between<0x3105, 0x312F>>, run<any<kIdeographs, kKana>>>,
      kGpt4o<1>},
     kIgnoreMerges},
    {{"kimi-k2"},
     {search<run<in<kHan>>, maybe<kCasedWordNotHan, kAnyContraction>, up_to<3, kNumbers>, kSymbols, newlines, spaces>}},
    {{"deepseek-llm"},
     {search<one<kNewlines>>, search<prefixed<in<kSpace>, deepseek_letter>>,
      search<prefixed<in<kSpace>, kDeepSeekPunctuation>>, trailing_spaces, search<run<kDeepSeekCjk>>,
      search<run<kNumbers>>}},
    {{"deepseek-coder"},
     {search<one<kNewlines>>, search<prefixed<in<kSpace>, kLetters>>, search<prefixed<in<kSpace>, in<kPunctuation>>>,
      search<run<kDeepSeekCjk>>, kEachNumber}},
    {{"deepseek-v3", "hunyuan-dense", "joyai-llm"}, {kThreeDigits, search<run<any<kIdeographs, kKana>>>, kDeepSeek3}},
    {{"superbpe"}, {search<run<kNumbers>>, groups_of_three<kNumbers>}},
    {{"afmoe"}, {search<run<kNumbers>>, groups_of_three<kNumbers>, search<run<kAfmoeScripts>>, kDeepSeek3}},
    {{"bloom", "poro-chat", "gpt3-finnish"}, {search<prefixed<kBlanks, kBloomWord>>}},
    {{"viking"}, {search<prefixed<kBlanks, kBloomWord>>, kEachNumber}},
    {{"gemma4"}, {search<run<is<'\n'>>>}, !kIgnoreMerges, kAddsBos},
    {{"chameleon"},
     {search<chameleon_space>, kEachNumber, search<one<any<in<kPunctuation>, kAsciiPunctuation>>>, kGpt2},
     !kIgnoreMerges,
     kAddsBos},
};

}  // namespace

std::span<const Pretokenizer> all_pretokenizers() {
  return kPretokenizers;
}

const Pretokenizer* find_pretokenizer(std::string_view name) {
  for (const Pretokenizer& entry : kPretokenizers)
    if (std::find(entry.names.begin(), entry.names.end(), name) != entry.names.end()) return &entry;
  return nullptr;
}

}  // namespace hearth::text
