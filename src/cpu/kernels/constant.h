// From a run-time number to a compile-time one.
#pragma once

#include <utility>

namespace hearth::cpu {

// Calls f.template operator()<N>() for n in [1, kMost].
template <int kMost, class Function>
inline void with_constant(int n, Function&& f) {
  if constexpr (kMost > 1) {
    if (n < kMost) return with_constant<kMost - 1>(n, std::forward<Function>(f));
  }
  f.template operator()<kMost>();
}

}  // namespace hearth::cpu
