// What the floating-point sources share: flushing, saturation, canonical NaNs, minima, 2^x. Not an interface.
#pragma once

#include <cmath>

#include "base/half.h"
#include "sim/exec/lane_ops_map.h"

namespace hearth::sim::exec::HEARTH_LANE_ISA {

inline u32 bits_of(float value) {
  return std::bit_cast<u32>(value);
}
inline float float_of(u32 bits) {
  return std::bit_cast<float>(bits);
}
inline u64 bits_of(double value) {
  return std::bit_cast<u64>(value);
}

inline constexpr u32 kSignBit = 0x80000000u;
inline constexpr u32 kCanonicalNan = 0x7fffffffu;  // what every f32 operation of the machine gives
inline constexpr u16 kCanonicalHalfNan = 0x7fff;   // f16 and bf16

// .ftz: subnormal numbers count as zero of their sign.
inline float flushed(float value) {
  return (bits_of(value) & 0x7f800000u) == 0 ? float_of(bits_of(value) & kSignBit) : value;
}
template <bool ftz>
inline float input(float value) {
  return ftz ? flushed(value) : value;
}
inline float saturated(float value) {  // NaN becomes 0
  return value > 0.0f ? (value < 1.0f ? value : 1.0f) : 0.0f;
}
inline float canonical(float value) {
  return value == value ? value : float_of(kCanonicalNan);
}
template <bool ftz, bool sat>
inline float result(float value) {
  const float kept = ftz ? flushed(value) : value;
  return sat ? saturated(kept) : canonical(kept);
}

// The number wins over a NaN (or the NaN, with `propagate`); -0 is less than +0.
template <bool propagate>
inline float minimum(float a, float b) {
  const float equal = float_of(bits_of(a) | bits_of(b));  // a == b: equal bits or zeros of either sign
  const float ordered = a < b ? a : b < a ? b : equal;
  const float number = a == a ? a : b;
  const bool is_nan = !(a == a) || !(b == b);
  return canonical(is_nan ? (propagate ? float_of(kCanonicalNan) : number) : ordered);
}
template <bool propagate>
inline float maximum(float a, float b) {
  const float equal = float_of(bits_of(a) & bits_of(b));
  const float ordered = a < b ? b : b < a ? a : equal;
  const float number = a == a ? a : b;
  const bool is_nan = !(a == a) || !(b == b);
  return canonical(is_nan ? (propagate ? float_of(kCanonicalNan) : number) : ordered);
}

// 2^x, correctly rounded but for rare ties of the last bit: the Taylor series of e^(f ln 2) on |f| <= 1/2 in double.
inline float exp2_of(float x) {
  constexpr double kMagic = 0x1.8p52;  // adding it rounds to an integer, which then lies in the low bits
  const double wide = x;
  const double limited = wide < -160.0 ? -160.0 : wide > 130.0 ? 130.0 : wide;
  const double shifted = limited + kMagic;
  const double f = (limited - (shifted - kMagic)) * 0.69314718055994530942;
  double p = 1.0 / 39916800;
  p = p * f + 1.0 / 3628800;
  p = p * f + 1.0 / 362880;
  p = p * f + 1.0 / 40320;
  p = p * f + 1.0 / 5040;
  p = p * f + 1.0 / 720;
  p = p * f + 1.0 / 120;
  p = p * f + 1.0 / 24;
  p = p * f + 1.0 / 6;
  p = p * f + 0.5;
  p = p * f + 1.0;
  p = p * f + 1.0;
  const double scaled = std::bit_cast<double>(bits_of(p) + (bits_of(shifted) << 52));
  return x == x ? static_cast<float>(scaled) : x;
}

// --- f16 and bf16 arrays ---

inline u16 canonical_half(u16 bits) {
  return (bits & 0x7fff) > 0x7c00 ? kCanonicalHalfNan : bits;
}
inline u16 canonical_bfloat(u16 bits) {
  return (bits & 0x7fff) > 0x7f80 ? kCanonicalHalfNan : bits;
}

struct Half {
  static constexpr u16 kExponent = 0x7c00;
  static constexpr u16 kOne = 0x3c00;
  static float widen(u16 bits) { return half_to_float(bits); }
  static u16 narrow(float value) { return canonical_half(float_to_half(value)); }
};
struct Bfloat {
  static constexpr u16 kExponent = 0x7f80;
  static constexpr u16 kOne = 0x3f80;
  static float widen(u16 bits) { return bfloat_to_float(bits); }
  static u16 narrow(float value) { return canonical_bfloat(float_to_bfloat(value)); }
};

template <class Format, int count>
void widen(const u16* from, float* to);
template <class Format, int count>
void narrow(const float* from, u16* to);

}  // namespace hearth::sim::exec::HEARTH_LANE_ISA

#if defined(__F16C__)
#include <immintrin.h>
#endif

namespace hearth::sim::exec::HEARTH_LANE_ISA {

template <class Format, int count>
inline void widen(const u16* from, float* to) {
#if defined(__F16C__)
  if constexpr (std::is_same_v<Format, Half>) {
    for (int i = 0; i < count; i += 8) {
      _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i))));
    }
    return;
  }
#endif
  HEARTH_LANES_INDEPENDENT
  for (int i = 0; i < count; ++i) to[i] = Format::widen(from[i]);
}

template <class Format, int count>
inline void narrow(const float* from, u16* to) {
#if defined(__F16C__)
  if constexpr (std::is_same_v<Format, Half>) {
    for (int i = 0; i < count; i += 8) {
      const __m128i half = _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), half);
    }
    HEARTH_LANES_INDEPENDENT
    for (int i = 0; i < count; ++i) to[i] = canonical_half(to[i]);
    return;
  }
#endif
  HEARTH_LANES_INDEPENDENT
  for (int i = 0; i < count; ++i) to[i] = Format::narrow(from[i]);
}

}  // namespace hearth::sim::exec::HEARTH_LANE_ISA
