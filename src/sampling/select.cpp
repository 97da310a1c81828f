#include "sampling/select.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

namespace hearth::sampling {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr size_t kBlock = 32;  // logits that are compared at once

float largest_of_block(const float* values) {
  float lanes[8];
  std::copy_n(values, 8, lanes);
  for (size_t i = 8; i < kBlock; i += 8) {
    for (size_t j = 0; j < 8; ++j) lanes[j] = values[i + j] > lanes[j] ? values[i + j] : lanes[j];
  }
  return *std::max_element(lanes, lanes + 8);
}

float largest_logit_of(const std::vector<TokenCandidate>& candidates) {
  float largest = -kInfinity;
  for (const TokenCandidate& candidate : candidates) largest = std::max(largest, candidate.logit);
  return largest;
}

double total_weight(const std::vector<TokenCandidate>& candidates) {
  double total = 0;
  for (const TokenCandidate& candidate : candidates) total += candidate.weight;
  return total;
}

// Keeps the shortest prefix, in the order `before`, that has `p` of the weight. Sorts piece by piece, since
// the prefix is short as a rule.
template <class Before>
void keep_mass(std::vector<TokenCandidate>& candidates, float p, Before before) {
  const double wanted = p * total_weight(candidates);
  double mass = 0;
  for (size_t sorted = 0, piece = 64; sorted < candidates.size(); piece *= 4) {
    const size_t end = std::min(sorted + piece, candidates.size());
    const auto at = candidates.begin();
    if (end < candidates.size()) std::nth_element(at + sorted, at + end, candidates.end(), before);
    std::sort(at + sorted, at + end, before);
    for (; sorted < end; ++sorted) {
      mass += candidates[sorted].weight;
      if (mass >= wanted) return candidates.resize(sorted + 1);
    }
  }
}

// exp(x) for x <= 0, written so that compilers make vectors of it: 2^n by its exponent, 2^f for |f| <= 1/2 by the
// series of exp(f ln 2) to the sixth power. Below -87 it is that of -87.
inline float exp_of_negative(float x) {
  constexpr float kRound = 12582912.0f;                     // 1.5 * 2^23: adding it leaves no bits behind the point
  constexpr int32_t kMost = std::bit_cast<int32_t>(87.0f);  // as integers, of which compilers make vectors
  x = -std::bit_cast<float>(std::min(std::bit_cast<int32_t>(x) & 0x7fffffff, kMost));
  const float t = x * 1.44269504f, shifted = t + kRound, f = t - (shifted - kRound);
  float power = 1.5403530e-4f;
  power = power * f + 1.3333558e-3f;
  power = power * f + 9.6181291e-3f;
  power = power * f + 5.5504109e-2f;
  power = power * f + 2.4022651e-1f;
  power = power * f + 6.9314718e-1f;
  power = power * f + 1.0f;
  const int32_t n = std::bit_cast<int32_t>(shifted) - std::bit_cast<int32_t>(kRound);
  return std::bit_cast<float>(std::bit_cast<int32_t>(power) + n * (1 << 23));
}

}  // namespace

float largest_logit(std::span<const float> logits) {
  float largest = -kInfinity;
  size_t i = 0;
  for (; i + kBlock <= logits.size(); i += kBlock) largest = std::max(largest, largest_of_block(&logits[i]));
  for (; i < logits.size(); ++i) largest = std::max(largest, logits[i]);
  return largest;
}

double sum_of_weights(std::span<const float> logits, float largest, float temperature) {
  constexpr size_t kLanes = 16, kPiece = 512;  // so few are added up as floats
  const float factor = std::min(1 / temperature, std::numeric_limits<float>::max());
  float weights[kPiece];
  double total = 0;
  for (size_t first = 0; first < logits.size(); first += kPiece) {
    const std::span<const float> piece = logits.subspan(first, std::min(kPiece, logits.size() - first));
    for (size_t i = 0; i < piece.size(); ++i) weights[i] = exp_of_negative((piece[i] - largest) * factor);
    std::fill(weights + piece.size(), weights + kPiece, 0.0f);
    float lanes[kLanes] = {};
    for (size_t i = 0; i < kPiece; i += kLanes)
      for (size_t j = 0; j < kLanes; ++j) lanes[j] += weights[i + j];
    total += std::accumulate(lanes, lanes + kLanes, 0.0);
  }
  return total;
}

size_t cut_mass(std::span<TokenCandidate> candidates, double mass) {
  constexpr size_t kFew = 64;
  const auto at = candidates.begin();
  size_t first = 0, end = candidates.size();  // where the last one is
  while (end - first > kFew) {
    const size_t middle = first + (end - first) / 2;
    std::nth_element(at + first, at + middle, at + end, better);
    double upper = 0;
    for (size_t i = first; i < middle; ++i) upper += candidates[i].weight;
    if (upper >= mass) {
      end = middle;
    } else {
      mass -= upper;
      first = middle;
    }
  }
  std::sort(at + first, at + end, better);
  for (; first + 1 < end; ++first) {
    mass -= candidates[first].weight;
    if (mass <= 0) break;
  }
  return first + 1;
}

bool better(const TokenCandidate& a, const TokenCandidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

float limited(float logit) {
  return std::isnan(logit) ? -kInfinity : std::min(logit, std::numeric_limits<float>::max());
}

std::optional<int32_t> most_likely(std::span<const float> logits) {
  float largest = -kInfinity;
  size_t i = 0;
  size_t found_from = 0;  // start of the block that holds the largest so far
  for (; i + kBlock <= logits.size(); i += kBlock) {
    const float block = largest_of_block(&logits[i]);
    if (block > largest) {
      largest = block;
      found_from = i;
    }
  }
  for (; i < logits.size(); ++i) {
    if (logits[i] > largest) {
      largest = logits[i];
      found_from = i;
    }
  }
  if (largest == -kInfinity) return std::nullopt;
  return static_cast<int32_t>(std::find(logits.begin() + found_from, logits.end(), largest) - logits.begin());
}

void select_top_k(std::span<const float> logits, size_t k, std::vector<TokenCandidate>& out) {
  out.clear();
  float threshold = -kInfinity;  // what is not above it is not among the best k
  const size_t room = k == 0 ? SIZE_MAX : 2 * std::min(k, logits.size()) + kBlock;
  const auto cut = [&] {
    if (k == 0 || out.size() <= k) return;
    std::nth_element(out.begin(), out.begin() + k - 1, out.end(), better);
    out.resize(k);
    threshold = out.back().logit;
  };
  for (size_t i = 0; i < logits.size(); i += kBlock) {
    const size_t end = std::min(i + kBlock, logits.size());
    if (end - i == kBlock && !(largest_of_block(&logits[i]) > threshold)) continue;
    for (size_t j = i; j < end; ++j) {
      if (logits[j] > threshold) out.push_back({static_cast<int32_t>(j), logits[j], 0});
    }
    if (out.size() >= room) cut();
  }
  cut();
  if (k != 0) std::sort(out.begin(), out.end(), better);
}

void sort_best(std::vector<TokenCandidate>& candidates, size_t k) {
  const auto end = candidates.begin() + static_cast<ptrdiff_t>(std::min(k, candidates.size()));
  std::partial_sort(candidates.begin(), end, candidates.end(), better);
  candidates.erase(end, candidates.end());
}

double set_weights(std::vector<TokenCandidate>& candidates, float temperature) {
  const float largest = largest_logit_of(candidates);
  double total = 0;
  for (TokenCandidate& candidate : candidates) {
    candidate.weight = std::exp((candidate.logit - largest) / temperature);
    total += candidate.weight;
  }
  return total;
}

void keep_top_p(std::vector<TokenCandidate>& candidates, float p) {
  keep_mass(candidates, p, better);
}

void keep_typical(std::vector<TokenCandidate>& candidates, float p) {
  // With w = exp(l - m) and Z = sum w: -log(w/Z) - H = (m - l) - sum (w/Z) (m - l); log Z cancels out.
  const float largest = largest_logit_of(candidates);
  double expected = 0;
  for (const TokenCandidate& candidate : candidates) {
    if (candidate.weight > 0) expected += double(candidate.weight) * (largest - candidate.logit);
  }
  expected /= total_weight(candidates);
  const auto distance = [&](const TokenCandidate& candidate) {
    return std::abs(double(largest) - candidate.logit - expected);
  };
  keep_mass(candidates, p, [&](const TokenCandidate& a, const TokenCandidate& b) {
    const double from_a = distance(a), from_b = distance(b);
    return from_a != from_b ? from_a < from_b : better(a, b);
  });
}

void keep_min_p(std::vector<TokenCandidate>& candidates, float p) {
  std::erase_if(candidates, [&](const TokenCandidate& candidate) { return candidate.weight < p; });  // the best has 1
}

}  // namespace hearth::sampling
