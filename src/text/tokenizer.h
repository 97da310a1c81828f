// Text to tokens and back, as the vocabulary in a GGUF file says (tokenizer.ggml.*).
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "gguf/file.h"

namespace hearth::text {

using Token = int32_t;
inline constexpr Token kNoToken = -1;

// A part of a text that was put together from a template and from what users, tools and documents say.
struct Span {
  std::string_view text;
  // Written by the template: texts of special tokens in it become these tokens. Otherwise they stay text.
  bool special;
};

struct EncodeOptions {
  bool add_special = true;     // the start (and end) token where the vocabulary asks for it
  bool parse_special = false;  // the whole text is as if a template had written it, see Span
};

// A prompt that asks a model for what is missing between two texts.
struct FimPrompt {
  std::vector<Token> tokens;
  // What ends the answer besides the tokens that end every answer: marks, where the model begins another task.
  std::vector<Token> stops;
  // Tokens left out to keep the limit: the first of the prefix, the last of the suffix.
  size_t dropped_prefix = 0, dropped_suffix = 0;
};

// Immutable once loaded; safe to use from several threads.
class Tokenizer {
 public:
  // Errors: kInvalidData (missing or contradictory keys), kUnsupported (tokenizer model or
  // pre-tokenizer, by name, with the list of what is supported).
  static Result<std::unique_ptr<Tokenizer>> load(const gguf::File& file);
  virtual ~Tokenizer() = default;

  // Any bytes are accepted: invalid UTF-8 becomes byte tokens where the vocabulary has them, else the
  // replacement character or the unknown token.
  //
  // A special token is found only where all bytes of its text are in spans that are `special`; neighbouring spans of
  // the same kind count as one. What is between the special tokens found is tokenized as one text, across the borders
  // of spans, so the tokens are those of the whole text wherever no other span imitates a special token.
  //
  // Special are control and unknown tokens, and user-defined ones that end an answer or look like marks: in brackets
  // of any kind, as <tool_call>, [INST], <\uFF5CUser\uFF5C>. Other user-defined tokens (white space, letters, elements
  // of HTML in Gemma's vocabulary) are parts of ordinary text and found in all spans. The reference takes every
  // user-defined token for ordinary text, which lets a message close its own turn.
  virtual std::vector<Token> encode(std::span<const Span> spans, bool add_special) const = 0;
  std::vector<Token> encode(std::string_view text, const EncodeOptions& options) const {
    const Span whole{text, options.parse_special};
    return encode({&whole, 1}, options.add_special);
  }

  // Whether the vocabulary has the marks to fill in the middle between two texts ("FIM"). That a model was trained to
  // use them is not known: some families give all their models the same tokens.
  virtual bool has_fim() const { return false; }
  // The prompt for what is between `prefix` and `suffix`, with the start token where the vocabulary asks for it, in the
  // order that the family was trained on. Both texts are users': nothing in them becomes a special token. Longer ones
  // than `max_tokens` lose what is furthest from the gap; at least a quarter of the room is the suffix's. The answer is
  // the pieces of what is generated, with no space taken away. Needs has_fim().
  virtual FimPrompt encode_fim(std::string_view prefix, std::string_view suffix, size_t max_tokens) const;

  // The bytes a token stands for in a text (control tokens: empty unless `special`). May end inside
  // a UTF-8 sequence; see Utf8Stream. An id out of range gives an empty piece.
  virtual std::string piece(Token token, bool special) const = 0;
  // As decoders of whole texts do: a leading space that encode() added is removed.
  virtual std::string decode(std::span<const Token> tokens, bool special) const = 0;

  // What the file does not say and was assumed, though another assumption would give other tokens; for people.
  const std::vector<std::string>& notes() const { return notes_; }

  virtual size_t size() const = 0;
  virtual std::string_view model_name() const = 0;  // tokenizer.ggml.model: "llama", "gpt2", "bert"
  virtual std::string_view pre_name() const = 0;    // tokenizer.ggml.pre, or empty
  virtual Token bos() const = 0;                    // kNoToken if there is none
  virtual Token eos() const = 0;
  virtual bool adds_bos() const = 0;
  virtual bool is_end_of_generation(Token token) const = 0;  // eos, eot, eom and their kin by text
  virtual bool is_control(Token token) const = 0;
  virtual bool is_special(Token token) const { return is_control(token); }  // that, or user-defined
  virtual Token find(std::string_view text) const = 0;  // the token of exactly this text, or kNoToken

  // Of the longest piece: a text of n bytes has at least n / that many tokens, but for white space that some special
  // tokens take with them. Computed when it is first asked for.
  size_t longest_piece_bytes() const;

 private:
  mutable std::once_flag measured_;
  mutable size_t longest_piece_bytes_ = 1;
  std::vector<std::string> notes_;
};

}  // namespace hearth::text
