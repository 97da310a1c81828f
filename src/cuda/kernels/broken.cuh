// What keeps numbers that are not finite from being swallowed by limits and maxima, so that they reach the logits,
// where they are seen.
#pragma once

#include <cstdint>

#include "cuda/kernels/warp.cuh"

namespace hearth::cuda {

// Zero for numbers, NaN for what is none: to be added to a result that may have lost it. (Never part of a fused
// operation: the same bits everywhere.)
__device__ inline float broken(float x) {
  return __fmul_rn(x, 0);
}

// The largest magnitude of a warp, infinity above all numbers and NaN above infinity: as integers the bits have that
// order.
__device__ inline float warp_largest(float x) {
  uint32_t bits = __float_as_uint(fabsf(x));
#pragma unroll
  for (uint32_t distance = 16; distance != 0; distance /= 2)
    bits = max(bits, __shfl_xor_sync(kAllLanes, bits, distance));
  return __uint_as_float(bits);
}

}  // namespace hearth::cuda
