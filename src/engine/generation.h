// One request's way from logits to events: choose a token, turn it into text, decide whether it is the last.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "sampling/sampler.h"
#include "sampling/stop_strings.h"
#include "text/tokenizer.h"
#include "text/utf8_stream.h"

namespace hearth::engine {

class Generation {
 public:
  // `tokenizer` must outlive it. The request's options are valid (sampling::validate).
  Generation(const Request& request, const text::Tokenizer& tokenizer, size_t context_tokens);

  // The next token, from the logits of the last position (used as scratch), or from logits_needed() of the best of
  // them: token, text that is decided, choice. `finish` is set if the generation ends with it. Errors: those of
  // sampling::Sampler::sample().
  Result<Event> next(std::span<float> logits);
  Result<Event> next(const sampling::BestLogits& logits);
  std::optional<size_t> logits_needed() const { return sampler_.logits_needed(); }
  // Text still held back when the generation ends. Nothing after a stop string.
  std::string rest();

  uint32_t generated_tokens() const { return generated_; }

 private:
  template <class Logits>
  Result<Event> next_from(const Logits& logits);
  bool ends_with(text::Token token) const;

  const text::Tokenizer& tokenizer_;
  sampling::Sampler sampler_;
  sampling::StopStrings stops_;
  std::vector<text::Token> stop_tokens_;  // control tokens, which have no text, that a stop names
  text::Utf8Stream utf8_;
  bool stopped_ = false;
  uint32_t generated_ = 0;
};

}  // namespace hearth::engine
