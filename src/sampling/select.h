// Which tokens stay candidates. A vocabulary has up to a few hundred thousand entries and a step has
// milliseconds, so nothing here sorts more than it must.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "sampling/sampler.h"

namespace hearth::sampling {

// What bias and penalties made of a logit: NaN becomes -infinity and +infinity the largest number, so that the rest
// need not think of them.
float limited(float logit);

// The order of candidates: the larger logit first, of equal ones the smaller token.
bool better(const TokenCandidate& a, const TokenCandidate& b);

// -infinity if there is none.
float largest_logit(std::span<const float> logits);

// Sum of exp((logit - largest) / temperature), up to a relative error of 1e-6; no logit may be larger.
double sum_of_weights(std::span<const float> logits, float largest, float temperature);

// The smallest index of the largest value; nothing if all are -infinity.
std::optional<int32_t> most_likely(std::span<const float> logits);

// The `k` largest that are not -infinity (all of them if k is 0), weights not set; equal logits: the
// smaller token first. Sorted, the best first, unless k is 0.
void select_top_k(std::span<const float> logits, size_t k, std::vector<TokenCandidate>& out);

// The `k` best (k > 0) in that order, the others dropped.
void sort_best(std::vector<TokenCandidate>& candidates, size_t k);

// Sets the weights from the logits divided by `temperature` (> 0); returns their sum.
double set_weights(std::vector<TokenCandidate>& candidates, float temperature);

// Reorders them so that the smallest set, taken by descending logit, that has at least `mass` of the weight is in
// front, its last one at its end; returns its size (at least 1). Without a full sort.
size_t cut_mass(std::span<TokenCandidate> candidates, double mass);

// The smallest set, taken by descending weight, that has at least `p` of the weight; at least one.
void keep_top_p(std::vector<TokenCandidate>& candidates, float p);
// The same, taken by ascending distance of the token's information content from the entropy.
void keep_typical(std::vector<TokenCandidate>& candidates, float p);
// Those with at least `p` times the weight of the best.
void keep_min_p(std::vector<TokenCandidate>& candidates, float p);

}  // namespace hearth::sampling
