// The tokens of a GGUF file, whatever kind of tokenizer uses them: their bytes, types and special roles.
// Keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md#tokenizer
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "gguf/file.h"
#include "text/fim.h"
#include "text/tokenizer.h"

namespace hearth::text {

// The values of tokenizer.ggml.token_type.
enum class TokenType : uint8_t { kUndefined, kNormal, kUnknown, kControl, kUserDefined, kUnused, kByte };

class Vocabulary {
 public:
  // How the text of a normal token in the file becomes the bytes that it stands for.
  using Decode = void (*)(std::string_view in_file, std::string* bytes);
  // What the special tokens and the start token default to where the file does not say.
  struct Defaults {
    Token bos = kNoToken, eos = kNoToken, unknown = kNoToken;
    bool add_bos = false, add_eos = false;
  };

  // Errors: kInvalidData, with the key and the file.
  static Result<Vocabulary> load(const gguf::File& file, Decode decode, const Defaults& defaults);

  size_t size() const { return types_.size(); }
  bool contains(Token token) const { return token >= 0 && static_cast<size_t>(token) < size(); }
  TokenType type(Token token) const { return types_[static_cast<size_t>(token)]; }
  bool is_control(Token token) const {
    return type(token) == TokenType::kControl || type(token) == TokenType::kUnknown;
  }
  // Whether the token is one that only a template may write, see Tokenizer::encode().
  bool is_mark(Token token) const;
  // The bytes a token stands for; of control and user-defined tokens, their text.
  std::string_view bytes(Token token) const {
    const auto i = static_cast<size_t>(token);
    return std::string_view(arena_).substr(ends_[i], ends_[i + 1] - ends_[i]);
  }
  bool ends_generation(Token token) const { return ends_generation_[static_cast<size_t>(token)]; }

  Token bos = kNoToken, eos = kNoToken, unknown = kNoToken, separator = kNoToken;
  bool add_bos = false, add_eos = false;
  FimTokens fim;           // all control tokens; complete() or none
  std::string model, pre;  // tokenizer.ggml.model, tokenizer.ggml.pre

 private:
  Status load_types(const gguf::File& file);
  void load_bytes(std::span<const std::string_view> texts, Decode decode);
  Status load_roles(const gguf::File& file, const Defaults& defaults);
  Status read_id(const gguf::File& file, std::string_view key, Token* id) const;
  Status find_fim(const gguf::File& file);
  void find_ends(std::span<const Token> from_metadata);

  std::string arena_;         // all bytes, by token
  std::vector<size_t> ends_;  // ends_[i], ends_[i + 1]: where token i begins and ends
  std::vector<TokenType> types_;
  std::vector<bool> ends_generation_;
};

// The file's tokenizer.ggml.scores: one per token. Errors: kInvalidData.
Result<std::vector<float>> load_scores(const gguf::File& file, size_t tokens);

// `text` with every U+2581, SentencePiece's sign for a space, as a space (a Vocabulary::Decode).
void append_with_spaces(std::string_view text, std::string* out);

}  // namespace hearth::text
