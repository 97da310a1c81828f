// Any text through a small vocabulary of each kind: what comes out are tokens of the vocabulary, and they
// decode to the text where the kind promises it; none of them is special where a user wrote the text. The first byte
// picks the vocabulary, the second cuts the text into spans.
#include <algorithm>
#include <cstdlib>

#include "fuzz/seeds.h"
#include "text/pretokenizer.h"
#include "text/tiny_vocabulary.h"
#include "text/utf8_stream.h"

using namespace hearth::text;

namespace {

// A mark for the spans to hide, in every vocabulary a control token.
constexpr const char* kMark = "<x>";

struct Case {
  std::unique_ptr<Tokenizer> tokenizer;
  bool keeps_text;
};

std::unique_ptr<Tokenizer> load(const test::TinyVocabulary& vocabulary) {
  auto tokenizer = vocabulary.load();
  if (!tokenizer) std::abort();
  return std::move(tokenizer).value();
}

std::vector<Case> make_cases() {
  std::vector<Case> cases;
  cases.push_back({load(test::sentencepiece({{"▁"},
                                             {"a"},
                                             {"b"},
                                             {"▁a"},
                                             {"ab", TokenType::kNormal, 1},
                                             {"▁▁"},
                                             {"aa", TokenType::kNormal, 2},
                                             {"aab", TokenType::kNormal, -1},
                                             {"é"},
                                             {kMark, TokenType::kControl}})),
                   false});  // U+2581 becomes a space
  test::TinyVocabulary words{.model = "bert", .pre = {}, .tokens = {}, .merges = {}};
  words.tokens = {{"[UNK]", TokenType::kControl}, {"▁a"}, {"b"}, {"aa"}, {"▁é"}, {"▁!"}, {kMark, TokenType::kControl}};
  words.more = {{"tokenizer.ggml.unknown_token_id", test::u32_value(0)}};
  cases.push_back({load(words), false});
  for (const bool merges : {false, true}) {
    test::TinyVocabulary unigram = test::unigram();
    unigram.tokens.push_back({kMark, TokenType::kControl});
    unigram.more.push_back({"tokenizer.ggml.remove_extra_whitespaces", test::bool_value(merges)});
    cases.push_back({load(unigram), false});
  }
  for (const Pretokenizer& entry : all_pretokenizers()) {
    const auto vocabulary =
        test::byte_pairs(std::string(entry.names[0]), {"a a", "aa a", "a b", "Ġ a", "1 2", "Ã ©", "Ġ Ġ"}, {kMark});
    cases.push_back({load(vocabulary), true});
  }
  return cases;
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all = make_cases();
  return all;
}

// The text cut into spans that a template and a user wrote in turns.
std::vector<Span> cut(std::string_view text, uint8_t how) {
  const size_t step = 1 + how % 16;
  std::vector<Span> spans;
  for (size_t at = 0; at < text.size(); at += step)
    spans.push_back({text.substr(at, step), ((how >> 4) + spans.size()) % 3 != 0});
  return spans;
}

bool has_whole_mark(std::string_view text, const std::vector<Span>& spans) {
  std::string written;  // what the user wrote as zeros
  for (const Span& span : spans) written += span.special ? std::string(span.text) : std::string(span.text.size(), '\0');
  return text.size() == written.size() && written.find(kMark) != std::string::npos;
}

void check_spans(const Case& chosen, std::string_view text, uint8_t how) {
  const std::vector<Span> spans = cut(text, how);
  const std::vector<Token> tokens = chosen.tokenizer->encode(spans, false);
  const bool found = std::count(tokens.begin(), tokens.end(), chosen.tokenizer->find(kMark)) > 0;
  if (found != has_whole_mark(text, spans)) std::abort();
  if (chosen.keeps_text && chosen.tokenizer->decode(tokens, true) != text) std::abort();
  const std::vector<Token> plain = chosen.tokenizer->encode(text, {.add_special = false, .parse_special = false});
  const auto is_control = [&](Token token) { return chosen.tokenizer->is_control(token); };
  // Vocabularies have other special tokens, too, which the template may have written.
  if (std::none_of(tokens.begin(), tokens.end(), is_control) && tokens != plain) std::abort();
}

// Cut anywhere, a stream gives the same text.
void check_stream(std::string_view text) {
  Utf8Stream whole, parts;
  const std::string expected = whole.feed(text) + whole.finish();
  const size_t middle = text.empty() ? 0 : static_cast<unsigned char>(text[0]) % text.size();
  std::string joined = parts.feed(text.substr(0, middle));
  joined += parts.feed(text.substr(middle));
  joined += parts.finish();
  if (joined != expected) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  std::vector<std::string> seeds;
  for (size_t i = 0; i < cases().size(); ++i) {
    for (const char* text :
         {"aab ab  a<x>b é", "I'll\n\n 12345, 中文 \xF0\x9F\x8E\x89!", "\xFF\xE2\x82 A\u0301b  \t\r\n"})
      seeds.push_back(std::string{static_cast<char>(i), '\x22'} + text);
  }
  hearth::fuzz::use_seeds(seeds, argc, argv);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const Case& chosen = cases()[data[0] % cases().size()];
  const std::string text(reinterpret_cast<const char*>(data) + 2, size - 2);
  for (const bool special : {false, true}) {
    const std::vector<Token> tokens =
        chosen.tokenizer->encode(text, {.add_special = special, .parse_special = special});
    for (const Token token : tokens) {
      if (token < 0 || static_cast<size_t>(token) >= chosen.tokenizer->size()) std::abort();
    }
    if (chosen.keeps_text && chosen.tokenizer->decode(tokens, true) != text) std::abort();
  }
  check_spans(chosen, text, data[1]);
  check_stream(text);
  return 0;
}
