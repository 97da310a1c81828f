// Logits to token. Pure and seeded: the same options, history and logits give the same tokens.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "base/result.h"
#include "sampling/options.h"

namespace hearth::sampling {

struct TokenLogprob {
  int32_t token;
  float logprob;  // natural logarithm, of the model's own distribution (before penalties and temperature)
};

struct Choice {
  int32_t token;
  float logprob = 0;                  // filled if options.logprobs > 0
  std::vector<TokenLogprob> most_likely;  // options.logprobs of them, best first
};

// kUsage with the name of the option, its value and the allowed range; nothing if all is well.
Status validate(const Options& options);

// One sequence's sampler: options, random state, mirostat state and the tokens so far.
class Sampler {
 public:
  Sampler(Options options, size_t context_tokens);

  // Tells it of a token that is part of the sequence (prompt or answer): the penalties look back.
  void accept(int32_t token);

  // Chooses the next token from the logits of the last position; `logits` is used as scratch.
  // Does not call accept(). NaN logits never win; all -inf or NaN gives the smallest token id.
  Choice sample(std::span<float> logits);

  const Options& options() const { return options_; }
  uint64_t seed() const { return seed_; }  // the one in use, for a user who wants to repeat a run

 private:
  Options options_;
  uint64_t seed_;
  std::mt19937_64 random_;
  float mirostat_mu_;
  std::vector<int32_t> recent_;  // ring of the last repeat_last_n tokens
  size_t recent_next_ = 0, recent_capacity_ = 0;
  std::vector<TokenLogprob> candidates_;
};

}  // namespace hearth::sampling
