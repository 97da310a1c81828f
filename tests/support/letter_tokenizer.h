// A vocabulary that is small enough to look at every token.
#pragma once

#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace hearth::test {

// Letters as tokens, a few longer ones, and special tokens: enough to see what a mask holds.
class LetterTokenizer : public text::Tokenizer {
 public:
  enum : int32_t { kEnd = 256, kCall = 257, kThinkEnd = 258, kUnused = 259, kWords = 260 };
  static inline const std::vector<std::string> kMore = {"ok<", "tool>\n", "l>{", "{\"", "\"name", "\": \"", "add", "sub", "<tool>"};

  std::vector<text::Token> encode(std::span<const text::Span> spans, bool) const override {
    std::vector<text::Token> tokens;
    for (const text::Span& span : spans) {
      for (const char c : span.text) tokens.push_back(static_cast<uint8_t>(c));
    }
    return tokens;
  }
  std::string piece(text::Token token, bool special) const override {
    if (token < 256) return std::string(1, static_cast<char>(token));
    if (token >= kWords) return kMore[static_cast<size_t>(token - kWords)];
    constexpr const char* kNames[] = {"<end>", "<|call|>", "</think>", ""};
    return special ? kNames[token - 256] : "";
  }
  std::string decode(std::span<const text::Token> tokens, bool special) const override {
    std::string text;
    for (const text::Token token : tokens) text += piece(token, special);
    return text;
  }
  size_t size() const override { return kWords + kMore.size(); }
  std::string_view model_name() const override { return "letters"; }
  std::string_view pre_name() const override { return {}; }
  text::Token bos() const override { return text::kNoToken; }
  text::Token eos() const override { return kEnd; }
  bool adds_bos() const override { return false; }
  bool is_end_of_generation(text::Token token) const override { return token == kEnd; }
  bool is_control(text::Token token) const override { return token >= 256 && token < kWords; }
  text::Token find(std::string_view text) const override {
    for (text::Token token = 256; token < static_cast<text::Token>(size()); ++token) {
      if (piece(token, true) == text) return token;
    }
    return text::kNoToken;
  }
};

}  // namespace hearth::test
