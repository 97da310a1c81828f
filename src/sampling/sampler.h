// Logits to token. Pure and seeded: the same options, history and logits give the same tokens.
//
// Steps, in this order (the one that people know from llama.cpp and Ollama): logit bias; mask; penalties; then at
// temperature 0 the most likely token; else with mirostat: temperature, truncation, draw; else top-k,
// typical, top-p, min-p, temperature, draw.
//   repeat penalty   Keskar et al. 2019, "CTRL", section 4.1 (positive logits divided, negative multiplied)
//   presence, frequency penalty   OpenAI API reference, "Frequency and presence penalties"
//   typical          Meister et al. 2022, "Locally Typical Sampling", arXiv:2202.00666
//   top-p            Holtzman et al. 2019, "The Curious Case of Neural Text Degeneration", arXiv:1904.09751
//   min-p            Nguyen et al. 2024, "Turning Up the Heat", arXiv:2407.01082
//   mirostat         Basu et al. 2020, arXiv:2007.14966; version 2: the authors' simplification
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <unordered_map>
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
  float logprob = 0;                      // filled if options.logprobs > 0
  std::vector<TokenLogprob> most_likely;  // options.logprobs of them, best first
};

// One token that may be chosen.
struct TokenCandidate {
  int32_t token;
  float logit;
  float weight;  // not normalised: exp(logit - largest logit)
};

// The best of a model's logits, the best first, of equal ones the smaller token; and what log probabilities need of all
// the others.
struct BestLogits {
  std::span<const TokenCandidate> best;  // weights not set
  // Sum of exp(logit - largest logit) over the vocabulary, up to a relative error of kTotal_error; NaN if one of its
  // logits is not finite.
  double total_weight = 0;
  size_t vocabulary = 0;
};
inline constexpr double kTotal_error = 1e-5;

// kInvalidData if one of the logits is not finite: the model, or what computes it, is broken.
Status check_finite(std::span<const float> logits);
Status check_finite(const BestLogits& logits);

// How many of the best logits of a model decide the next token, so that the others need not be read; nothing if all of
// them must be:
//   - mirostat: how many it draws from depends on the weights of all;
//   - typical without top_k: it compares all with the entropy;
//   - a bias or a penalty that raises logits: a token from far below may be among the best after it.
// What lowers logits moves each of the `changed` tokens (that bias or penalties apply to) down only, so that the best
// k after it are among the best k + changed before it. With top_k (or temperature 0) so many decide for certain, unless
// there is a mask; without top_k as a rule, namely if what is drawn lies among them. Also enough for log probabilities.
std::optional<size_t> logits_needed(const Options& options, size_t changed);

// One sequence's sampler: options, random state, mirostat state and the tokens so far.
class Sampler {
 public:
  // `options` must be valid (see validate()). `context_tokens` is what repeat_last_n = -1 stands for.
  Sampler(Options options, size_t context_tokens);

  // Tells it of a token that is part of the sequence (prompt or answer): the penalties look back.
  void accept(int32_t token);

  // What may be chosen from now on: the tokens that `mask` has (all if it is empty; see sampling/constraint.h) but
  // those that are banned. Both must stay where they are.
  void restrict_to(std::span<const uint64_t> mask, std::span<const int32_t> banned);

  // Chooses the next token from the logits of the last position; `logits` (at least one) is used as scratch.
  // Does not call accept(). Errors: those of check_finite(), kUsage (bias, mask and penalties leave no token).
  Result<Choice> sample(std::span<float> logits);
  // The same choice from logits_needed() of the best logits, or the whole vocabulary's; log probabilities as exact as
  // `total_weight`. Nothing, and no change, if they do not decide it: sample from all logits then.
  Result<std::optional<Choice>> sample(const BestLogits& logits);
  std::optional<size_t> logits_needed() const;

  const Options& options() const { return options_; }
  uint64_t seed() const { return seed_; }  // the one in use, for a user who wants to repeat a run

 private:
  bool is_open() const;
  size_t tokens_changed() const;  // at most
  bool may_choose(int32_t token) const;
  void bias(std::span<float> logits) const;
  void mask(std::span<float> logits) const;
  void penalise(std::span<float> logits) const;
  float penalised(float logit, uint32_t count) const;
  float changed(const TokenCandidate& candidate) const;
  void take_candidates(const BestLogits& logits);
  // Nothing if all are banned.
  std::optional<int32_t> choose(std::span<const float> logits);
  int32_t draw_truncated();
  int32_t draw_open(std::span<const float> logits);
  std::optional<int32_t> draw_open(const BestLogits& logits);
  std::optional<int32_t> draw_mirostat(std::span<const float> logits);
  const TokenCandidate& draw();
  double uniform();

  Options options_;
  uint64_t seed_;
  std::mt19937_64 random_;
  float mirostat_mu_;
  std::vector<int32_t> recent_;  // ring of the last recent_capacity_ tokens
  size_t recent_next_ = 0, recent_capacity_ = 0;
  std::unordered_map<int32_t, uint32_t> recent_counts_;
  std::vector<TokenCandidate> candidates_;
  std::span<const uint64_t> mask_;
  std::span<const int32_t> banned_;
  std::optional<double> drawn_;      // for the token that is being chosen
  std::vector<float> model_logits_;  // before bias and penalties, if log probabilities are asked for
};

}  // namespace hearth::sampling
