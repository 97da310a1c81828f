// Drawing without top-k: any token of the vocabulary may come, but as a rule it is one of the best, and the total
// weight of the others is enough to know that.
#pragma once

#include <optional>
#include <span>

#include "sampling/sampler.h"

namespace hearth::sampling {

// What all weights sum up to lies between these; weights are relative to the best candidate.
struct Total {
  double least = 0, most = 0;
};

// The total at another temperature than 1, of candidates and others together: `candidates` have weights at that
// temperature, the `others_count` others at temperature 1 the weight `others`, none of them more than `most_of_others`.
Total total_at(float temperature, std::span<const TokenCandidate> candidates, const Total& others,
               double most_of_others, size_t others_count);

// The token that `uniform` (0 <= uniform < 1) stands for: those that top-p and min-p keep follow each other from the
// best downward, each as long as its weight at the temperature. Nothing if it is not certain that this is one of
// `candidates`, which are the best of all, the best first; `all`: there are no others. Totals: at temperature 1, and at
// the temperature (which is looked at only if neither top-p nor min-p is on).
std::optional<int32_t> draw_from_best(std::span<const TokenCandidate> candidates, bool all, const Total& plain,
                                      const Total& tempered, const Options& options, double uniform);

}  // namespace hearth::sampling
