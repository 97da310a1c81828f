// How much of a computation is one step, so that others on the device need not wait longer for their turn: learned from
// the steps that were run.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>

namespace hearth::vision {

class Pace {
 public:
  // `bound`: what a step may take now. None: any time.
  explicit Pace(std::function<std::chrono::nanoseconds()> bound = {}) : bound_(std::move(bound)) {}

  // How many rows, of so many operations each, the next step has at most: at least `least`. Steps have at most twice as
  // many operations as the largest so far, so that a mistake is a small one.
  uint32_t rows(double operations, uint32_t least) const {
    if (!bound_) return std::numeric_limits<uint32_t>::max();
    const double fit = std::min(2 * largest_, per_ns_ * static_cast<double>(bound_().count()));
    return static_cast<uint32_t>(std::clamp<double>(fit / operations, least, 1e9));
  }

  void learn(double operations, std::chrono::nanoseconds took) {
    constexpr double kNewest = 0.3;  // its part of the average
    const double speed = operations / std::max<double>(1, static_cast<double>(took.count()));
    per_ns_ += (largest_ == 0 ? 1 : kNewest) * (speed - per_ns_);
    largest_ = std::max(largest_, operations);
  }

 private:
  std::function<std::chrono::nanoseconds()> bound_;
  double per_ns_ = 0, largest_ = 0;  // operations
};

}  // namespace hearth::vision
