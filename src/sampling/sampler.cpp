#include "sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "base/error.h"
#include "base/finite.h"
#include "sampling/constraint.h"
#include "sampling/open_draw.h"
#include "sampling/select.h"

namespace hearth::sampling {
namespace {

constexpr size_t kOpen_candidates = 256;  // among which the token is as a rule if any may be drawn
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr size_t kMirostatRanks = 100;  // most likely tokens from which the Zipf exponent is estimated (m in the paper)

uint64_t resolve_seed(int64_t seed) {
  if (seed >= 0) return static_cast<uint64_t>(seed);
  std::random_device device;
  return device();  // 32 bits: short enough to be typed again
}

bool penalises(const Options& options) {
  return options.repeat_penalty != 1.0f || options.presence_penalty != 0.0f || options.frequency_penalty != 0.0f;
}

size_t recent_capacity(const Options& options, size_t context_tokens) {
  if (!penalises(options)) return 0;
  return options.repeat_last_n < 0 ? context_tokens : static_cast<size_t>(options.repeat_last_n);
}

// How many of the most likely tokens keep the expected surprise at mu bits, when probabilities fall as in
// Zipf's law (Basu et al. 2020, algorithm 1). `ranked`: the best first, with their weights.
double mirostat_k(std::span<const TokenCandidate> ranked, double mu, double vocabulary) {
  double products = 0, squares = 0;
  for (size_t i = 0; i + 1 < ranked.size() && ranked[i + 1].weight > 0; ++i) {
    const double t = std::log(double(i + 2) / double(i + 1));
    products += t * std::log(double(ranked[i].weight) / ranked[i + 1].weight);
    squares += t * t;
  }
  const double exponent = squares > 0 ? products / squares : 0;
  if (exponent < 1e-6) return std::exp2(mu);  // all equally likely: k tokens have log2(k) bits
  const double epsilon = exponent - 1;
  const double scale =
      std::abs(epsilon) > 1e-6 ? epsilon / (1 - std::pow(vocabulary, -epsilon)) : 1 / std::log(vocabulary);
  return std::pow(scale * std::exp2(mu), 1 / exponent);
}

// `chosen`: the model's logit of choice.token.
void add_logprobs(const BestLogits& logits, float chosen, int count, Choice& choice) {
  const std::span<const TokenCandidate> best = logits.best;
  const double log_total = std::log(logits.total_weight) + best[0].logit;
  const auto logprob = [&](float logit) { return static_cast<float>(logit - log_total); };
  choice.logprob = logprob(chosen);
  for (const TokenCandidate& candidate : best.first(std::min(best.size(), static_cast<size_t>(count))))
    choice.most_likely.push_back({candidate.token, logprob(candidate.logit)});
}

void add_logprobs(std::span<const float> logits, int count, Choice& choice) {
  std::vector<TokenCandidate> best;
  select_top_k(logits, static_cast<size_t>(count), best);
  const double total = sum_of_weights(logits, best[0].logit, 1);
  add_logprobs({best, total, logits.size()}, logits[static_cast<size_t>(choice.token)], count, choice);
}

Error nothing_allowed() {
  return error(ErrorKind::kUsage, "logit_bias, grammar and penalties leave no token to choose; ban fewer");
}

bool raises_logits(const Options& options) {
  if (std::ranges::any_of(options.logit_bias, [](const auto& bias) { return bias.second > 0; })) return true;
  return options.repeat_penalty < 1 || options.presence_penalty < 0 || options.frequency_penalty < 0;
}

}  // namespace

Status check_finite(std::span<const float> logits) {
  if (all_finite(logits)) return {};
  return error(ErrorKind::kInvalidData, "the model's results are not finite numbers");
}

Status check_finite(const BestLogits& logits) {
  const float numbers[] = {static_cast<float>(logits.total_weight), logits.best[0].logit};
  return check_finite(numbers);
}

std::optional<size_t> logits_needed(const Options& options, size_t changed) {
  const bool greedy = options.temperature == 0, open = options.top_k <= 0;
  if (!greedy && (options.mirostat != 0 || (open && options.typical_p < 1))) return std::nullopt;
  if (changed > 0 && raises_logits(options)) return std::nullopt;
  const size_t wanted = greedy ? 1 : open ? kOpen_candidates : static_cast<size_t>(options.top_k);
  return std::max(wanted + changed, static_cast<size_t>(options.logprobs));
}

Sampler::Sampler(Options options, size_t context_tokens)
    : options_(std::move(options)),
      seed_(resolve_seed(options_.seed)),
      random_(seed_),
      mirostat_mu_(2 * options_.mirostat_tau),
      recent_capacity_(recent_capacity(options_, context_tokens)) {}

void Sampler::accept(int32_t token) {
  if (recent_capacity_ == 0) return;
  ++recent_counts_[token];
  if (recent_.size() < recent_capacity_) return recent_.push_back(token);
  const auto oldest = recent_counts_.find(recent_[recent_next_]);
  if (--oldest->second == 0) recent_counts_.erase(oldest);
  recent_[recent_next_] = token;
  recent_next_ = (recent_next_ + 1) % recent_capacity_;
}

void Sampler::restrict_to(std::span<const uint64_t> mask, std::span<const int32_t> banned) {
  mask_ = mask;
  banned_ = banned;
}

Result<Choice> Sampler::sample(std::span<float> logits) {
  CHECK(!logits.empty());
  TRY(check_finite(logits));
  if (options_.logprobs > 0) model_logits_.assign(logits.begin(), logits.end());
  bias(logits);
  mask(logits);
  penalise(logits);
  const std::optional<int32_t> token = choose(logits);
  if (!token) return nothing_allowed();
  drawn_.reset();
  Choice choice{.token = *token, .logprob = 0, .most_likely = {}};
  if (options_.logprobs > 0) add_logprobs(model_logits_, options_.logprobs, choice);
  return choice;
}

std::optional<size_t> Sampler::logits_needed() const {
  return sampling::logits_needed(options_, tokens_changed());
}

size_t Sampler::tokens_changed() const {
  return options_.logit_bias.size() + recent_counts_.size() + banned_.size();
}

Result<std::optional<Choice>> Sampler::sample(const BestLogits& logits) {
  CHECK(!logits.best.empty());
  TRY(check_finite(logits));
  take_candidates(logits);
  const bool all = logits.best.size() >= logits.vocabulary;
  if (candidates_.empty() && all) return nothing_allowed();
  std::optional<int32_t> token;
  if (is_open()) {
    token = draw_open(logits);
  } else {
    const size_t wanted = options_.temperature == 0 ? 1 : static_cast<size_t>(options_.top_k);
    if (candidates_.size() < wanted && !all) return std::optional<Choice>();
    sort_best(candidates_, wanted);
    token = options_.temperature == 0 ? candidates_[0].token : draw_truncated();
  }
  if (!token) return std::optional<Choice>();
  drawn_.reset();
  Choice choice{.token = *token, .logprob = 0, .most_likely = {}};
  if (options_.logprobs > 0) {
    const auto chosen = std::ranges::find(logits.best, choice.token, &TokenCandidate::token);
    add_logprobs(logits, chosen->logit, options_.logprobs, choice);
  }
  return std::optional(std::move(choice));
}

// Any token may be drawn.
bool Sampler::is_open() const {
  return options_.temperature > 0 && options_.top_k <= 0 && options_.mirostat == 0 && options_.typical_p >= 1;
}

// Into candidates_ those that are certainly better than all that is not known.
void Sampler::take_candidates(const BestLogits& logits) {
  const bool all = logits.best.size() >= logits.vocabulary;
  const TokenCandidate& last = logits.best.back();
  candidates_.clear();
  for (const TokenCandidate& candidate : logits.best) {
    const TokenCandidate now{candidate.token, changed(candidate), 0};
    const bool certain = all || now.logit == candidate.logit || better(now, last);
    if (certain && now.logit != -kInfinity) candidates_.push_back(now);
  }
}

// What bias, mask and penalties make of one token's logit.
float Sampler::changed(const TokenCandidate& candidate) const {
  float logit = candidate.logit;
  if (const auto bias = options_.logit_bias.find(candidate.token); bias != options_.logit_bias.end()) {
    logit = limited(logit + bias->second);
  }
  if (!may_choose(candidate.token)) return -kInfinity;
  const auto recent = recent_counts_.find(candidate.token);
  return recent == recent_counts_.end() ? logit : penalised(logit, recent->second);
}

bool Sampler::may_choose(int32_t token) const {
  return (mask_.empty() || is_set(mask_, token)) && std::ranges::find(banned_, token) == banned_.end();
}

void Sampler::mask(std::span<float> logits) const {
  for (size_t word = 0; word * 64 < logits.size() && !mask_.empty(); ++word) {
    const uint64_t allowed = word < mask_.size() ? mask_[word] : 0;
    if (allowed == ~uint64_t{0}) continue;
    const std::span<float> part = logits.subspan(word * 64, std::min<size_t>(64, logits.size() - word * 64));
    for (size_t i = 0; i < part.size(); ++i)
      if ((allowed >> i & 1) == 0) part[i] = -kInfinity;
  }
  for (const int32_t token : banned_)
    if (token >= 0 && static_cast<size_t>(token) < logits.size()) logits[static_cast<size_t>(token)] = -kInfinity;
}

void Sampler::bias(std::span<float> logits) const {
  for (const auto& [token, value] : options_.logit_bias) {
    if (token < 0 || static_cast<size_t>(token) >= logits.size()) continue;
    float& logit = logits[static_cast<size_t>(token)];
    logit = limited(logit + value);
  }
}

void Sampler::penalise(std::span<float> logits) const {
  for (const auto& [token, count] : recent_counts_) {
    if (token < 0 || static_cast<size_t>(token) >= logits.size()) continue;
    float& logit = logits[static_cast<size_t>(token)];
    logit = penalised(logit, count);
  }
}

float Sampler::penalised(float logit, uint32_t count) const {
  logit = logit > 0 ? logit / options_.repeat_penalty : logit * options_.repeat_penalty;
  return limited(logit - (options_.presence_penalty + static_cast<float>(count) * options_.frequency_penalty));
}

std::optional<int32_t> Sampler::choose(std::span<const float> logits) {
  if (options_.temperature == 0) return most_likely(logits);
  if (options_.mirostat != 0) return draw_mirostat(logits);
  if (is_open()) {
    if (largest_logit(logits) == -kInfinity) return std::nullopt;
    return draw_open(logits);
  }
  select_top_k(logits, options_.top_k > 0 ? static_cast<size_t>(options_.top_k) : 0, candidates_);
  if (candidates_.empty()) return std::nullopt;
  return draw_truncated();
}

// From what top-k has left in candidates_, which is not empty.
int32_t Sampler::draw_truncated() {
  set_weights(candidates_, 1);
  if (options_.typical_p < 1) keep_typical(candidates_, options_.typical_p);
  if (options_.top_p < 1) keep_top_p(candidates_, options_.top_p);
  set_weights(candidates_, 1);  // min-p is relative to the best that is left
  if (options_.min_p > 0) keep_min_p(candidates_, options_.min_p);
  set_weights(candidates_, options_.temperature);
  return draw().token;
}

// From the best few, or more, or at last from all of them; without sorting these.
int32_t Sampler::draw_open(std::span<const float> logits) {
  const float largest = largest_logit(logits), temperature = options_.temperature;
  const bool cut = options_.top_p < 1 || options_.min_p > 0;
  const double plain = options_.top_p < 1 ? sum_of_weights(logits, largest, 1) : 0;
  const double tempered = cut ? 0 : sum_of_weights(logits, largest, temperature);
  for (const size_t few : {size_t{64}, size_t{1024}}) {
    if (few >= logits.size()) break;
    select_top_k(logits, few, candidates_);
    const bool all = candidates_.size() < few;  // the others are banned
    const auto token = draw_from_best(candidates_, all, {plain, plain}, {tempered, tempered}, options_, uniform());
    if (token) return *token;
  }
  select_top_k(logits, 0, candidates_);
  if (options_.top_p < 1) {
    const double mass = options_.top_p * set_weights(candidates_, 1);
    candidates_.resize(cut_mass(candidates_, mass));
  }
  set_weights(candidates_, 1);
  if (options_.min_p > 0) keep_min_p(candidates_, options_.min_p);
  const double mass = uniform() * set_weights(candidates_, temperature);
  return candidates_[cut_mass(candidates_, mass) - 1].token;
}

// From candidates_: nothing if one that is not known could be drawn.
std::optional<int32_t> Sampler::draw_open(const BestLogits& logits) {
  if (candidates_.empty()) return std::nullopt;
  sort_best(candidates_, candidates_.size());
  const bool all = logits.best.size() >= logits.vocabulary;
  const double error = all ? 0 : kTotal_error * logits.total_weight;
  Total plain{logits.total_weight - error, logits.total_weight + error};
  const float temperature = options_.temperature;
  if (tokens_changed() == 0 && mask_.empty() && (temperature == 1 || options_.top_p < 1))
    return draw_from_best(candidates_, all, plain, plain, options_, uniform());

  // Weights from here on are relative to the best that is left.
  const float top = candidates_[0].logit, floor = logits.best.back().logit;
  const double raised = std::exp(double(logits.best[0].logit) - top), most_of_others = std::exp(double(floor) - top);
  double before = 0, after = 0;  // of all that were given, also of those that are not among the candidates any more
  for (const TokenCandidate& candidate : logits.best) {
    before += std::exp(double(candidate.logit) - top);
    after += std::exp(double(changed(candidate)) - top);
  }
  const double known = set_weights(candidates_, 1);
  Total others;
  if (!all) {
    const double lowered = std::max(0.0, after - known);
    others.most = std::max(0.0, plain.most * raised - before) + lowered;
    // What bias and penalties have lowered further, and the mask taken away.
    const auto gone = static_cast<double>(tokens_changed());
    others.least = std::max(0.0, plain.least * raised - before - gone * most_of_others) + lowered;
    if (!mask_.empty()) others.least = lowered;
    if (!std::isfinite(others.most)) return std::nullopt;
  }
  plain = {known + others.least, known + others.most};
  Total tempered = plain;
  if (temperature != 1) {
    set_weights(candidates_, temperature);
    tempered =
        total_at(temperature, candidates_, others, most_of_others, all ? 0 : logits.vocabulary - candidates_.size());
  }
  return draw_from_best(candidates_, all, plain, tempered, options_, uniform());
}

std::optional<int32_t> Sampler::draw_mirostat(std::span<const float> logits) {
  if (options_.mirostat == 1) {
    select_top_k(logits, kMirostatRanks, candidates_);
    set_weights(candidates_, options_.temperature);
    const double k = mirostat_k(candidates_, mirostat_mu_, static_cast<double>(logits.size()));
    const double most = static_cast<double>(logits.size());
    select_top_k(logits, static_cast<size_t>(std::isfinite(k) ? std::clamp(k, 1.0, most) : most), candidates_);
  } else {
    select_top_k(logits, 0, candidates_);
  }
  if (candidates_.empty()) return std::nullopt;
  const double total = set_weights(candidates_, options_.temperature);
  if (options_.mirostat == 2) {  // drop what would surprise by more than mu bits, but never the best (weight 1)
    const double least = std::min(1.0, total * std::exp2(-double(mirostat_mu_)));
    std::erase_if(candidates_, [&](const TokenCandidate& candidate) { return candidate.weight < least; });
  }
  const double kept = set_weights(candidates_, options_.temperature);
  const TokenCandidate& chosen = draw();
  const double surprise_bits = -std::log2(chosen.weight / kept);
  mirostat_mu_ -= options_.mirostat_eta * static_cast<float>(surprise_bits - options_.mirostat_tau);
  return chosen.token;
}

// By weight. Written out, since the standard distributions differ between libraries.
const TokenCandidate& Sampler::draw() {
  double total = 0;
  for (const TokenCandidate& candidate : candidates_) total += candidate.weight;
  double left = total * uniform();
  const TokenCandidate* last = &candidates_.front();
  for (const TokenCandidate& candidate : candidates_) {
    if (candidate.weight <= 0) continue;
    last = &candidate;
    if (left < candidate.weight) break;
    left -= candidate.weight;
  }
  return *last;
}

// One for each token, however often it is asked for.
double Sampler::uniform() {
  if (!drawn_) drawn_ = static_cast<double>(random_() >> 11) * 0x1p-53;
  return *drawn_;
}

}  // namespace hearth::sampling
