// Reads an answer as an engine gives it: pieces of text, which end before a stop text and may lag behind, and the ids
// of tokens, which do not. A parser wants each token's own text.
#pragma once

#include <deque>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "chat/collector.h"
#include "chat/parser.h"
#include "text/utf8_stream.h"

namespace hearth::chat {

class Answer {
 public:
  // `format` and `tokenizer` must outlive it.
  Answer(const Format& format, ParserOptions options, const text::Tokenizer& tokenizer)
      : parser_(format, std::move(options)), tokenizer_(tokenizer) {}

  // Called with each token once the parser has had it, and so behind the deltas that it decides.
  void on_token(std::function<void(text::Token)> call) { on_token_ = std::move(call); }

  // What an engine's event says: more text, and the tokens since the last event.
  void add(std::string_view text, std::span<const text::Token> tokens, const Sink& sink);
  // After the last event.
  void finish(Ending ending, const Sink& sink);

  // All of it so far.
  const Message& message() const { return whole_.message(); }
  const std::vector<std::string>& problems() const { return whole_.problems(); }
  const std::vector<text::Token>& tokens() const { return tokens_; }

 private:
  struct Waiting {
    text::Token token;
    std::string piece;
    size_t end;  // of the text, with this token's
  };
  void feed(const Piece& piece, const Sink& sink);

  Parser parser_;
  const text::Tokenizer& tokenizer_;
  text::Utf8Stream utf8_;
  std::deque<Waiting> waiting_;  // tokens whose text has not been given yet
  size_t decoded_bytes_ = 0, given_bytes_ = 0;
  std::string rest_;  // text that was given, and belongs to the tokens that wait
  Collector whole_;
  std::vector<text::Token> tokens_;
  std::function<void(text::Token)> on_token_ = [](text::Token) {};
};

}  // namespace hearth::chat
