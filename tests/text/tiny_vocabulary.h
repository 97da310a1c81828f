// Vocabularies small enough to read, as GGUF files in memory.
#pragma once

#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gguf/draft.h"
#include "text/tokenizer.h"
#include "text/utf8.h"
#include "text/vocabulary.h"

namespace hearth::text::test {

struct TinyToken {
  std::string text;
  TokenType type = TokenType::kNormal;
  float score = 0;
};

struct TinyVocabulary {
  std::string model, pre;  // the key is left out where empty
  std::vector<TinyToken> tokens;
  std::vector<std::string> merges;
  std::vector<std::pair<std::string, std::string>> more = {};  // keys and encoded values

  std::string bytes() const {
    using namespace gguf::test;
    std::string texts, types, scores, joined;
    for (const TinyToken& token : tokens) {
      texts += raw_string(token.text);
      types += raw(static_cast<int32_t>(token.type));
      scores += raw(token.score);
    }
    for (const std::string& merge : merges) joined += raw_string(merge);
    Draft draft;
    draft.tensors.clear();
    draft.metadata.push_back({"tokenizer.ggml.model", string_value(model)});
    if (!pre.empty()) draft.metadata.push_back({"tokenizer.ggml.pre", string_value(pre)});
    draft.metadata.push_back({"tokenizer.ggml.tokens", array_value(8, tokens.size(), texts)});
    draft.metadata.push_back({"tokenizer.ggml.token_type", array_value(5, tokens.size(), types)});
    if (model == "llama" || model == "t5")
      draft.metadata.push_back({"tokenizer.ggml.scores", array_value(6, tokens.size(), scores)});
    if (model == "gpt2" || model == "gemma4")
      draft.metadata.push_back({"tokenizer.ggml.merges", array_value(8, merges.size(), joined)});
    draft.metadata.insert(draft.metadata.end(), more.begin(), more.end());
    return draft.bytes();
  }

  Result<std::unique_ptr<Tokenizer>> load() const {
    const std::string file_bytes = bytes();
    ASSIGN_OR_RETURN(const auto file, gguf::File::parse(gguf::test::as_bytes(file_bytes), "tiny"));
    return Tokenizer::load(*file);
  }
};

inline std::string u32_value(uint32_t value) {
  return gguf::test::value_of<uint32_t>(4, value);
}
inline std::string bool_value(bool value) {
  return gguf::test::value_of<uint8_t>(7, value ? 1 : 0);
}

// <unk> <s> </s>, the 256 bytes, then the pieces given.
inline TinyVocabulary sentencepiece(const std::vector<TinyToken>& pieces) {
  TinyVocabulary vocabulary{.model = "llama", .pre = {}, .tokens = {}, .merges = {}};
  vocabulary.tokens = {{"<unk>", TokenType::kUnknown}, {"<s>", TokenType::kControl}, {"</s>", TokenType::kControl}};
  for (int byte = 0; byte < 256; ++byte) {
    char text[8];
    std::snprintf(text, sizeof text, "<0x%02X>", static_cast<unsigned>(byte));
    vocabulary.tokens.push_back({text, TokenType::kByte});
  }
  vocabulary.tokens.insert(vocabulary.tokens.end(), pieces.begin(), pieces.end());
  return vocabulary;
}
inline Token byte_token(int byte) {
  return 3 + byte;
}
constexpr Token kFirstPiece = 3 + 256;

// The 256 bytes in GPT-2's alphabet (token i is byte i), then what the merges make, then the special texts.
inline TinyVocabulary byte_pairs(const std::string& pre, const std::vector<std::string>& merges,
                                 const std::vector<std::string>& specials = {}) {
  TinyVocabulary vocabulary{.model = "gpt2", .pre = pre, .tokens = {}, .merges = merges};
  for (uint32_t byte = 0, next = 256; byte < 256; ++byte) {
    const bool visible = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
    std::string text;
    append_utf8(visible ? byte : next++, &text);
    vocabulary.tokens.push_back({text});
  }
  for (std::string merge : merges) {
    merge.erase(merge.find(' ', 1), 1);
    vocabulary.tokens.push_back({merge});
  }
  for (const std::string& text : specials) vocabulary.tokens.push_back({text, TokenType::kControl});
  return vocabulary;
}

// A t5 vocabulary: <pad> </s> <unk>, a space (3), then x y z (4, 5, 6), xy (7), " x" (8). The character map turns "X"
// into "x" and "Y" into "yy".
inline TinyVocabulary unigram() {
  TinyVocabulary vocabulary{.model = "t5", .pre = {}, .tokens = {}, .merges = {}};
  vocabulary.tokens = {
      {"<pad>", TokenType::kControl}, {"</s>", TokenType::kControl},  {"<unk>", TokenType::kUnknown},
      {"▁", TokenType::kNormal, -2},  {"x", TokenType::kNormal, -3},  {"y", TokenType::kNormal, -3},
      {"z", TokenType::kNormal, -3},  {"xy", TokenType::kNormal, -4}, {"▁x", TokenType::kNormal, -2.5f}};
  // A double array: the root's children are at 256 ^ label, their leaves at 0 ^ what their own offset says.
  std::vector<uint32_t> units(512, 0);
  units[0] = 256u << 10;
  units[256 ^ 'X'] = (('X' ^ 256u ^ 300u) << 10) | 1u << 8 | 'X';
  units[256 ^ 'Y'] = (('Y' ^ 256u ^ 301u) << 10) | 1u << 8 | 'Y';
  units[300] = 1u << 31 | 0;
  units[301] = 1u << 31 | 2;
  std::string bytes = gguf::test::raw(static_cast<uint32_t>(units.size() * sizeof(uint32_t)));
  for (const uint32_t unit : units) bytes += gguf::test::raw(unit);
  bytes += std::string("x\0yy\0", 5);
  vocabulary.more = {{"tokenizer.ggml.precompiled_charsmap", gguf::test::array_value(0, bytes.size(), bytes)}};
  return vocabulary;
}

}  // namespace hearth::text::test
