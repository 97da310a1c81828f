// One request's way from logits to events: choose a token, turn it into text, decide whether it is the last.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "sampling/constraint.h"
#include "sampling/sampler.h"
#include "sampling/stop_strings.h"
#include "text/tokenizer.h"
#include "text/utf8_stream.h"

namespace hearth::engine {

class Generation {
 public:
  // `tokenizer` and `ends` (the tokens that end generation) must outlive it. The request's options are valid
  // (sampling::validate). `logits`: how many a row has.
  Generation(const Request& request, const text::Tokenizer& tokenizer, std::span<const text::Token> ends,
             size_t context_tokens, size_t logits);

  // A token takes these calls, in this order. The second may be made on another thread, while the device computes, and
  // only matters where has_grammar().
  std::optional<size_t> logits_needed();
  bool has_grammar() const { return constraint_ != nullptr; }
  void build_mask();
  // The next token, from the logits of the last position (used as scratch), or from logits_needed() of the best of
  // them: token, and those behind it that a grammar leaves no choice about; text that is decided, choice. `finish` is
  // set if the generation ends with it. Errors: those of sampling::Sampler::sample() and of the grammar. Nothing, and
  // no change, if the best do not decide it.
  Result<Event> next(std::span<float> logits);
  Result<std::optional<Event>> next(const sampling::BestLogits& logits);
  // Text still held back when the generation ends. Nothing after a stop string.
  std::string rest();

  uint32_t generated_tokens() const { return generated_; }

 private:
  Result<Event> go_on(sampling::Choice choice);
  Status take(text::Token token, Event& event);
  bool may_not_end() const { return ignores_end_ || generated_ < min_tokens_; }
  bool ends_with(text::Token token) const;

  const text::Tokenizer& tokenizer_;
  sampling::Sampler sampler_;
  sampling::StopStrings stops_;
  std::vector<text::Token> ends_;         // that end it, with the next ones
  std::vector<text::Token> stop_tokens_;  // control tokens, which have no text, that a stop names
  const std::shared_ptr<sampling::Constraint> constraint_;
  std::vector<uint64_t> mask_;
  Status masked_;
  text::Utf8Stream utf8_;
  const size_t context_tokens_, prompt_tokens_;
  const uint32_t min_tokens_;
  const bool ignores_end_;
  bool stopped_ = false;
  uint32_t generated_ = 0;
};

}  // namespace hearth::engine
