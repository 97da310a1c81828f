// Any text through a small vocabulary of each kind: what comes out are tokens of the vocabulary, and they
// decode to the text where the kind promises it. The first byte picks the vocabulary.
#include <cstdlib>

#include "fuzz/seeds.h"
#include "text/pretokenizer.h"
#include "text/tiny_vocabulary.h"
#include "text/utf8_stream.h"

using namespace hearth::text;

namespace {

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
                                             {"<x>", TokenType::kUserDefined}})),
                   false});  // U+2581 becomes a space
  test::TinyVocabulary words{.model = "bert", .pre = {}, .tokens = {}, .merges = {}};
  words.tokens = {{"[UNK]", TokenType::kControl}, {"▁a"}, {"b"}, {"aa"}, {"▁é"}, {"▁!"}};
  words.more = {{"tokenizer.ggml.unknown_token_id", test::u32_value(0)}};
  cases.push_back({load(words), false});
  for (const Pretokenizer& entry : all_pretokenizers()) {
    const auto vocabulary =
        test::byte_pairs(std::string(entry.names[0]), {"a a", "aa a", "a b", "Ġ a", "1 2", "Ã ©", "Ġ Ġ"}, {"<x>"});
    cases.push_back({load(vocabulary), true});
  }
  return cases;
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all = make_cases();
  return all;
}

// Cut anywhere, a stream gives the same text.
void check_stream(std::string_view text) {
  Utf8Stream whole, parts;
  const std::string expected = whole.feed(text) + whole.finish();
  const size_t cut = text.empty() ? 0 : static_cast<unsigned char>(text[0]) % text.size();
  std::string joined = parts.feed(text.substr(0, cut));
  joined += parts.feed(text.substr(cut));
  joined += parts.finish();
  if (joined != expected) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  std::vector<std::string> seeds;
  for (size_t i = 0; i < cases().size(); ++i) {
    for (const char* text :
         {"aab ab  a<x>b é", "I'll\n\n 12345, 中文 \xF0\x9F\x8E\x89!", "\xFF\xE2\x82 A\u0301b  \t\r\n"})
      seeds.push_back(std::string(1, static_cast<char>(i)) + text);
  }
  hearth::fuzz::use_seeds(seeds, argc, argv);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const Case& chosen = cases()[data[0] % cases().size()];
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  for (const bool special : {false, true}) {
    const std::vector<Token> tokens =
        chosen.tokenizer->encode(text, {.add_special = special, .parse_special = special});
    for (const Token token : tokens) {
      if (token < 0 || static_cast<size_t>(token) >= chosen.tokenizer->size()) std::abort();
    }
    if (chosen.keeps_text && chosen.tokenizer->decode(tokens, true) != text) std::abort();
  }
  check_stream(text);
  return 0;
}
