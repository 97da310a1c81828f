// What all kinds of tokenizers share: special tokens, start and end tokens, pieces, decoding. A kind adds
// itself with one file: a subclass of TokenizerBase and a registered TokenizerKind.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/registry.h"
#include "text/special_tokens.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

namespace hearth::text {

class TokenizerBase : public Tokenizer {
 public:
  TokenizerBase(const gguf::File& file, Vocabulary vocabulary);

  using Tokenizer::encode;
  std::vector<Token> encode(std::span<const Span> spans, bool add_special) const override;
  bool has_fim() const override { return vocabulary_.fim.complete(); }
  FimPrompt encode_fim(std::string_view prefix, std::string_view suffix, size_t max_tokens) const override;
  std::string piece(Token token, bool special) const override;
  std::string decode(std::span<const Token> tokens, bool special) const override;
  size_t size() const override { return vocabulary_.size(); }
  std::string_view model_name() const override { return vocabulary_.model; }
  std::string_view pre_name() const override { return vocabulary_.pre; }
  Token bos() const override { return vocabulary_.bos; }
  Token eos() const override { return vocabulary_.eos; }
  bool adds_bos() const override { return vocabulary_.add_bos; }
  bool is_end_of_generation(Token token) const override {
    return vocabulary_.contains(token) && vocabulary_.ends_generation(token);
  }
  bool is_control(Token token) const override { return vocabulary_.contains(token) && vocabulary_.is_control(token); }
  bool is_special(Token token) const override {
    return is_control(token) || (vocabulary_.contains(token) && vocabulary_.type(token) == TokenType::kUserDefined);
  }
  Token find(std::string_view text) const override;

 protected:
  // Appends the tokens of `text`, which holds no special tokens and is not empty. `first`: it stands at
  // the start, or behind a special token.
  virtual void encode_words(std::string_view text, bool first, std::vector<Token>* out) const = 0;
  // The ordinary token of exactly these bytes, or kNoToken.
  virtual Token find_word(std::string_view bytes) const = 0;
  // Whether encode_words() puts a space before a first text.
  virtual bool adds_space() const = 0;

  Vocabulary vocabulary_;

 private:
  void encode_text(std::span<const Span> spans, bool first, std::vector<Token>* out) const;

  SpecialTokens specials_;
  bool strips_after_special_;
};

struct TokenizerKind {
  const char* model;  // tokenizer.ggml.model
  Result<std::unique_ptr<Tokenizer>> (*load)(const gguf::File& file);
};

}  // namespace hearth::text
