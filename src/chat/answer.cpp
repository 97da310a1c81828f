#include "chat/answer.h"

namespace hearth::chat {

void Answer::feed(const Piece& piece, const Sink& sink) {
  parser_.feed(piece, [&](const Delta& delta) {
    whole_.add(delta);
    sink(delta);
  });
}

void Answer::add(std::string_view text, std::span<const text::Token> tokens, const Sink& sink) {
  for (const text::Token token : tokens) {
    std::string piece = tokenizer_.piece(token, false);
    decoded_bytes_ += utf8_.feed(piece).size();
    waiting_.push_back({token, std::move(piece), decoded_bytes_});
    tokens_.push_back(token);
  }
  given_bytes_ += text.size();
  rest_ += text;
  while (!waiting_.empty() && waiting_.front().end <= given_bytes_) {
    const Waiting& next = waiting_.front();
    rest_.erase(0, rest_.size() - std::min(rest_.size(), given_bytes_ - next.end));
    feed({next.piece, next.token}, sink);
    on_token_(next.token);
    waiting_.pop_front();
  }
}

void Answer::finish(Ending ending, const Sink& sink) {
  // Of a token that a stop text cut, what is before it. (A character that never became whole is in `rest_` as U+FFFD
  // and among the tokens that were fed as bytes.)
  if (!waiting_.empty()) feed({rest_, text::kNoToken}, sink);
  parser_.finish(ending, [&](const Delta& delta) {
    whole_.add(delta);
    sink(delta);
  });
  for (const Waiting& cut : waiting_) on_token_(cut.token);
}

}  // namespace hearth::chat
