// Conversions and functions of single values that several kernels need.
#pragma once

#include <cstdint>

namespace hearth::cuda {

using Half = unsigned short;  // the bits of an IEEE half

__device__ inline float half_to_float(Half bits) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
  return value;
}
__device__ inline Half float_to_half(float value) {
  Half bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
}
// Two halves in one word, `low` in the low bits.
__device__ inline float2 halves_to_floats(uint32_t word) {
  return {half_to_float(static_cast<Half>(word & 0xffff)), half_to_float(static_cast<Half>(word >> 16))};
}
__device__ inline uint32_t floats_to_halves(float low, float high) {
  return float_to_half(low) | static_cast<uint32_t>(float_to_half(high)) << 16;
}
__device__ inline float round_to_half(float value) {
  return half_to_float(float_to_half(value));
}

// 1 - 2 / (e^2x + 1), which cancels near 0: there the first terms of the series.
__device__ inline float hyperbolic_tangent(float x) {
  const float square = x * x;
  if (square < 0.04f)
    return x * (1 + square * (-1.0f / 3 + square * (2.0f / 15 + square * (-17.0f / 315 + square * (62.0f / 2835)))));
  return 1 - 2 / (expf(2 * x) + 1);
}

__device__ inline float soft_capped(float x, float cap) {
  return __fmul_rn(cap, hyperbolic_tangent(x / cap));  // never part of a fused operation: the same bits everywhere
}

}  // namespace hearth::cuda
