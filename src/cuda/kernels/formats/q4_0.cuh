// Q4_0 (quant/q4_0.cpp).
#pragma once

#include "cuda/kernels/matmul_row.cuh"

namespace hearth::cuda {

struct Q4_0 {
  static constexpr uint32_t kBlockValues = 32, kBlockBytes = 18, kScaleColumns = 32;
  static constexpr bool kMinimum = false, kHalves = false;

  template <class Row>
  __device__ static void words(const Row& row, uint32_t p, uint32_t q, uint32_t (&w)[2][2]) {
#pragma unroll
    for (uint32_t b = 0; b < 2; ++b) {
      const uint32_t x = row.word(18 * b + 2, 36 * p + 4 * q);
      w[b][0] = less<8>(low_nibbles(x));
      w[b][1] = less<8>(low_nibbles(x >> 4));
    }
  }
  template <class Row>
  __device__ static void scales(const Row& row, uint32_t half, float* scale, float*) {
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i) scale[i] = row.half(18 * (4 * half + i));
  }
};

}  // namespace hearth::cuda
