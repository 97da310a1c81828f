#include "engine/step_cost.h"

#include <algorithm>

#include "device/types.h"

namespace hearth::engine {
namespace {

// Units in which the three costs are of like size.
constexpr double kRows = device::kPage_tokens, kKeys = device::kPage_tokens * 1024.0;

constexpr double kNoise = 0.1;   // of one measurement, of what it is
constexpr double kDrift = 0.03;  // of each cost, from step to step: other programs come and go
constexpr double kOutlier = 4;   // a step that takes so many times what was expected says no more than that
constexpr uint64_t kFirst_steps = 4;

double square(double x) {
  return x * x;
}

}  // namespace

void StepCost::learn(uint64_t rows, uint64_t keys, std::chrono::nanoseconds took) {
  const Vector x = {1, static_cast<double>(rows) / kRows, static_cast<double>(keys) / kKeys};
  double seen = std::max<double>(1, static_cast<double>(took.count())), expected = 0;
  for (size_t i = 0; i < kTerms; ++i) expected += cost_[i] * x[i];
  if (steps_ >= kFirst_steps) seen = std::min(seen, kOutlier * expected);
  if (steps_ == 0)
    for (size_t i = 0; i < kTerms; ++i) error_[i][i] = square(seen);
  for (size_t i = 0; i < kTerms; ++i) {
    const double most = std::max(square(seen), error_[i][i]);  // what is not seen stays as it was
    error_[i][i] = std::min(most, error_[i][i] + square(kDrift * cost_[i]) + square(kDrift * 0.01 * seen));
  }

  Vector gain{};
  double variance = square(kNoise * seen);
  for (size_t i = 0; i < kTerms; ++i)
    for (size_t j = 0; j < kTerms; ++j) gain[i] += error_[i][j] * x[j];
  for (size_t i = 0; i < kTerms; ++i) variance += gain[i] * x[i];
  for (size_t i = 0; i < kTerms; ++i) {
    cost_[i] = std::max(0.0, cost_[i] + gain[i] / variance * (seen - expected));
    for (size_t j = 0; j < kTerms; ++j) error_[i][j] -= gain[i] * gain[j] / variance;
  }
  most_rows_ = std::max(most_rows_, rows);
  ++steps_;
}

std::chrono::nanoseconds StepCost::expected(uint64_t rows, uint64_t keys) const {
  const double ns =
      cost_[0] + cost_[1] * static_cast<double>(rows) / kRows + cost_[2] * static_cast<double>(keys) / kKeys;
  return std::chrono::nanoseconds(static_cast<int64_t>(ns));
}

// In picoseconds: an attended key may take less than a nanosecond.
sched::Budget StepCost::budget(std::chrono::nanoseconds limit) const {
  constexpr double kPico = 1000;
  const double most = static_cast<double>(limit.count()) * kPico;
  const double rows = 2.0 * static_cast<double>(most_rows_) + kRows, left = std::max(0.0, most - cost_[0] * kPico);
  const auto whole = [](double value) { return static_cast<uint64_t>(value); };
  return {.limit = whole(most),
          .fixed = whole(cost_[0] * kPico),
          .row = whole(std::max(cost_[1] / kRows * kPico, left / rows)),
          .key = whole(cost_[2] / kKeys * kPico)};
}

}  // namespace hearth::engine
