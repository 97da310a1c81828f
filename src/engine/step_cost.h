// What steps take on this machine, learned from those that were run: fixed + rows + attended keys. (A Kalman filter
// over the three; R. E. Kalman 1960, "A New Approach to Linear Filtering and Prediction Problems".)
#pragma once

#include <array>
#include <chrono>
#include <cstdint>

#include "sched/scheduler.h"

namespace hearth::engine {

class StepCost {
 public:
  // `rows` of a step attended to `keys` positions together (sched::Step::keys).
  void learn(uint64_t rows, uint64_t keys, std::chrono::nanoseconds took);

  // What it is expected to take; zero before anything was learned.
  std::chrono::nanoseconds expected(uint64_t rows, uint64_t keys) const;

  // For steps that take no longer than `limit`. Steps have at most twice as many rows as the largest so far then (a
  // page at first), so that a mistake is a small one.
  sched::Budget budget(std::chrono::nanoseconds limit) const;

 private:
  static constexpr size_t kTerms = 3;
  using Vector = std::array<double, kTerms>;

  Vector cost_{};                       // ns: of a step, of a page of rows, of kKeys attended keys
  std::array<Vector, kTerms> error_{};  // covariance of cost_
  uint64_t steps_ = 0, most_rows_ = 0;
};

}  // namespace hearth::engine
