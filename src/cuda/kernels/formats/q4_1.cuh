// Q4_1 (quant/q4_1.cpp).
#pragma once

#include "cuda/kernels/matmul_row.cuh"

namespace hearth::cuda {

struct Q4_1 {
  static constexpr uint32_t kBlockValues = 32, kBlockBytes = 20, kScaleColumns = 32;
  static constexpr bool kMinimum = true, kHalves = false;

  template <class Row>
  __device__ static void words(const Row& row, uint32_t p, uint32_t q, uint32_t (&w)[2][2]) {
#pragma unroll
    for (uint32_t b = 0; b < 2; ++b) {
      const uint32_t x = row.word(20 * b + 4, 40 * p + 4 * q);
      w[b][0] = low_nibbles(x);
      w[b][1] = low_nibbles(x >> 4);
    }
  }
  // The second half is the value of code 0.
  template <class Row>
  __device__ static void scales(const Row& row, uint32_t half, float* scale, float* minimum) {
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i) {
      const float2 both = halves_to_floats(row.word(0, 20 * (4 * half + i)));
      scale[i] = both.x;
      minimum[i] = -both.y;
    }
  }
};

}  // namespace hearth::cuda
