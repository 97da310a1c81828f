// The 8-bit floating-point formats of OCP ("OCP 8-bit Floating Point Specification", 2023). Not an interface.
#pragma once

#include "sim/exec/lane_float.h"

namespace hearth::sim::exec::HEARTH_LANE_ISA {

struct E4m3 {  // no infinity; NaN is all ones
  static constexpr int kFraction = 3, kBias = 7;
  static constexpr u8 kNan = 0x7f, kLargest = 0x7e;
};
struct E5m2 {
  static constexpr int kFraction = 2, kBias = 15;
  static constexpr u8 kNan = 0x7f, kLargest = 0x7b;
};

template <class Format>
inline float widen_float8(u8 bits) {
  const int exponent = (bits & 0x7f) >> Format::kFraction;
  const int fraction = bits & ((1 << Format::kFraction) - 1);
  const bool all_ones = exponent == 0x7f >> Format::kFraction;
  float magnitude = 0;
  if (std::is_same_v<Format, E4m3> ? (bits & 0x7f) == 0x7f : all_ones && fraction != 0) {
    magnitude = float_of(kCanonicalNan);
  } else if (std::is_same_v<Format, E5m2> && all_ones) {
    magnitude = std::numeric_limits<float>::infinity();
  } else {
    const int implicit = exponent == 0 ? 0 : 1 << Format::kFraction;
    const int scale = (exponent == 0 ? 1 : exponent) - Format::kBias - Format::kFraction;
    magnitude = std::ldexp(static_cast<float>(implicit + fraction), scale);
  }
  return (bits & 0x80) ? -magnitude : magnitude;
}

// To nearest even, what is too large (infinity too) to the largest number (.satfinite).
template <class Format>
inline u8 narrow_float8(float value) {
  if (value != value) return Format::kNan;
  const u8 sign = bits_of(value) >> 31 ? 0x80 : 0;
  const float magnitude = std::fabs(value);
  if (magnitude >= widen_float8<Format>(Format::kLargest)) return sign | Format::kLargest;
  int exponent = magnitude == 0 ? -200 : std::ilogb(magnitude);
  if (exponent < 1 - Format::kBias) exponent = 1 - Format::kBias;
  // In units of the last place of this exponent; a carry runs into the exponent field by itself.
  const auto units = static_cast<int>(std::nearbyint(std::ldexp(magnitude, Format::kFraction - exponent)));
  return static_cast<u8>(sign | (units + ((exponent + Format::kBias - 1) << Format::kFraction)));
}

}  // namespace hearth::sim::exec::HEARTH_LANE_ISA
