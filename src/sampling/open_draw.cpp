#include "sampling/open_draw.h"

#include <cmath>

namespace hearth::sampling {
namespace {

// How many are kept, where that is known.
struct Kept {
  size_t count;
  bool known;
};

std::optional<Kept> keep(std::span<const TokenCandidate> candidates, bool all, const Total& plain,
                         const Options& options) {
  const auto weight = [&](size_t i) { return std::exp(candidates[i].logit - candidates[0].logit); };
  Kept kept{candidates.size(), all};
  if (options.top_p < 1) {
    const double least = options.top_p * plain.least, most = options.top_p * plain.most;
    double mass = weight(0);
    size_t count = 1;
    for (; mass < least && count < kept.count; ++count) mass += weight(count);
    // Some total between the two would keep more.
    if (mass < most && !all) return std::nullopt;
    kept = {count, true};
  }
  if (options.min_p > 0) {
    for (size_t i = 1; i < kept.count; ++i)
      if (weight(i) < options.min_p) kept = {i, true};
    if (!kept.known) return std::nullopt;
  }
  return kept;
}

}  // namespace

Total total_at(float temperature, std::span<const TokenCandidate> candidates, const Total& others,
               double most_of_others, size_t others_count) {
  double known = 0;
  for (const TokenCandidate& candidate : candidates) known += candidate.weight;
  if (others_count == 0) return {known, known};
  // w^(1/T) = w * w^(1/T - 1), whose second factor is at its largest (T < 1) or smallest (T > 1) for the largest w; and
  // of all weights with the same sum equal ones have the largest sum of roots.
  const double exponent = 1 / double(temperature), factor = std::pow(most_of_others, exponent - 1);
  if (temperature < 1) return {known, known + others.most * factor};
  const double roots = std::pow(double(others_count), 1 - exponent) * std::pow(others.most, exponent);
  return {others.least > 0 ? known + others.least * factor : known, known + roots};
}

std::optional<int32_t> draw_from_best(std::span<const TokenCandidate> candidates, bool all, const Total& plain,
                                      const Total& tempered, const Options& options, double uniform) {
  const std::optional<Kept> kept = keep(candidates, all, plain, options);
  if (!kept) return std::nullopt;
  const float top = candidates[0].logit;
  const auto weight = [&](size_t i) { return std::exp((candidates[i].logit - top) / options.temperature); };
  double least = uniform * tempered.least, most = uniform * tempered.most;
  if (kept->known) {
    double total = 0;
    for (size_t i = 0; i < kept->count; ++i) total += weight(i);
    least = most = uniform * total;
  }
  size_t last = 0;
  double mass = 0;
  for (size_t i = 0; i < kept->count; ++i) {
    const float own = weight(i);
    if (own <= 0) continue;
    last = i;
    mass += own;
    if (mass <= least) continue;
    // With some total between the two it would be one of the next.
    if (mass <= most) return std::nullopt;
    return candidates[i].token;
  }
  if (!kept->known) return std::nullopt;
  return candidates[last].token;  // the sum was rounded
}

}  // namespace hearth::sampling
