// How long something takes at best.
#pragma once

#include <algorithm>

namespace hearth::cpu {

inline constexpr int kBest_repeats = 5;      // other processes only take away
inline constexpr double kBest_enough_s = 1;  // of repeating, on a busy machine

// Runs the body until it ran kBest_repeats times or took kBest_enough_s in all, at least once; `now`: a clock, in
// seconds. The shortest time.
template <class Body, class Now>
double best_seconds(Body&& body, Now&& now) {
  double best = 1e30, spent = 0;
  for (int i = 0; i < kBest_repeats && spent < kBest_enough_s; ++i) {
    const double start = now();
    body();
    const double seconds = now() - start;
    best = std::min(best, seconds);
    spent += seconds;
  }
  return best;
}

}  // namespace hearth::cpu
