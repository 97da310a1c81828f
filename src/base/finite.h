// Whether numbers are numbers.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>

namespace hearth {

// False if one is infinite or NaN. Integers, since compilers make vectors of their maximum.
inline bool all_finite(std::span<const float> values) {
  uint32_t largest = 0;  // magnitude, as bits: these have the order of the values, infinity and NaN come last
  for (const float value : values) largest = std::max(largest, std::bit_cast<uint32_t>(value) & 0x7fffffffu);
  return largest < 0x7f800000u;
}

}  // namespace hearth
