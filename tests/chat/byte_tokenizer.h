// A tokenizer whose tokens are the bytes, and some special tokens behind them.
#pragma once

#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace hearth::chat::test {

class ByteTokenizer : public text::Tokenizer {
 public:
  static constexpr text::Token kFirstSpecial = 256;

  // The first of them, if any, is the start token; `ends` (one of them) ends an answer.
  explicit ByteTokenizer(std::vector<std::string> specials = {}, std::string ends = {}, bool adds_bos = false)
      : specials_(std::move(specials)), ends_(std::move(ends)), adds_bos_(adds_bos) {}

  using Tokenizer::encode;
  std::vector<text::Token> encode(std::span<const text::Span> spans, bool) const override {
    std::vector<text::Token> tokens;
    for (const text::Span& span : spans) append(span, &tokens);
    return tokens;
  }
  std::string piece(text::Token token, bool special) const override {
    if (token < kFirstSpecial) return {static_cast<char>(token)};
    return special ? specials_.at(static_cast<size_t>(token - kFirstSpecial)) : std::string();
  }
  std::string decode(std::span<const text::Token> tokens, bool special) const override {
    std::string text;
    for (const text::Token token : tokens) text += piece(token, special);
    return text;
  }
  size_t size() const override { return kFirstSpecial + specials_.size(); }
  std::string_view model_name() const override { return "bytes"; }
  std::string_view pre_name() const override { return ""; }
  text::Token bos() const override { return adds_bos_ ? kFirstSpecial : text::kNoToken; }
  text::Token eos() const override { return find(ends_); }
  bool adds_bos() const override { return adds_bos_; }
  bool is_end_of_generation(text::Token token) const override { return token != text::kNoToken && token == eos(); }
  bool is_control(text::Token token) const override { return token >= kFirstSpecial; }
  text::Token find(std::string_view text) const override {
    for (size_t i = 0; i < specials_.size(); ++i)
      if (specials_[i] == text) return kFirstSpecial + static_cast<text::Token>(i);
    return text::kNoToken;
  }

 private:
  void append(const text::Span& span, std::vector<text::Token>* tokens) const {
    for (size_t at = 0; at < span.text.size();) {
      size_t found = specials_.size();
      for (size_t i = 0; i < specials_.size() && span.special; ++i)
        if (span.text.substr(at).starts_with(specials_[i])) found = i;
      if (found < specials_.size()) {
        tokens->push_back(kFirstSpecial + static_cast<text::Token>(found));
        at += specials_[found].size();
      } else {
        tokens->push_back(static_cast<unsigned char>(span.text[at++]));
      }
    }
  }

  std::vector<std::string> specials_;
  std::string ends_;
  bool adds_bos_;
};

// Cuts plain text into pairs of bytes, so that the same text is other tokens when it begins elsewhere.
class PairTokenizer : public test::ByteTokenizer {
 public:
  using ByteTokenizer::ByteTokenizer;
  static constexpr text::Token kPair = 100'000;
  std::vector<text::Token> encode(std::span<const text::Span> spans, bool) const override {
    std::vector<text::Token> out;
    for (const text::Token token : ByteTokenizer::encode(spans, false)) {
      if (!out.empty() && out.back() < 256 && token < 256) {
        out.back() = kPair + out.back() * 256 + token;
      } else {
        out.push_back(token);
      }
    }
    return out;
  }
  std::string piece(text::Token token, bool special) const override {
    if (token < kPair) return ByteTokenizer::piece(token, special);
    const text::Token pair = token - kPair;
    return {static_cast<char>(pair / 256), static_cast<char>(pair % 256)};
  }
  std::string decode(std::span<const text::Token> tokens, bool special) const override {
    std::string text;
    for (const text::Token token : tokens) text += piece(token, special);
    return text;
  }
};

}  // namespace hearth::chat::test
