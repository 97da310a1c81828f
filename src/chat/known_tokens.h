// The tokens of a conversation so far, so that its next prompt begins with the very tokens that the model has seen: an
// answer keeps the tokens that the model chose, though its text might be cut into others. The cache of a model lives on
// equal beginnings. Not thread-safe.
#pragma once

#include <vector>

#include "chat/chat_model.h"

namespace hearth::chat {

class KnownTokens {
 public:
  // `model` must outlive it.
  explicit KnownTokens(const ChatModel& model) : model_(model) {}

  // The tokens of a prompt; those of its beginning that was seen before are used again.
  std::vector<text::Token> encode(const templates::Rendered& rendered);
  // What the model wrote behind the prompt that encode() was last asked for, without the token that ended it.
  void add_answer(std::span<const text::Token> tokens);
  void clear() { *this = KnownTokens(model_); }
  KnownTokens& operator=(KnownTokens&& other) noexcept;
  KnownTokens(KnownTokens&&) noexcept = default;

 private:
  enum class Origin : uint8_t { kTemplate, kUser, kAny };
  struct Part {
    size_t end;  // in bytes of text_
    Origin origin;
  };
  struct Border {  // between tokens that were made apart: a prompt and an answer
    size_t bytes, tokens;
  };
  size_t common_bytes(const templates::Rendered& rendered) const;
  void cut(const Border& border);
  void append(std::string_view text, Origin origin);

  const ChatModel& model_;
  std::string text_;
  std::vector<Part> parts_;
  std::vector<text::Token> tokens_;
  std::vector<Border> borders_;
};

}  // namespace hearth::chat
