// How fast something goes, and how long it will take.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>

namespace hearth::cli {

// Of the last seconds; what was there at the beginning counts for nothing.
class Rate {
 public:
  using Clock = std::chrono::steady_clock;
  explicit Rate(uint64_t done, Clock::time_point now = Clock::now()) { seen_.emplace_back(now, done); }
  // "54.0 MiB/s, 1m20s left"; empty until there is something to tell.
  std::string text(uint64_t done, uint64_t total, Clock::time_point now = Clock::now());

 private:
  std::deque<std::pair<Clock::time_point, uint64_t>> seen_;
};

}  // namespace hearth::cli
