// Q5_0 (quant/q5_0.cpp).
#pragma once

#include "cuda/kernels/matmul_row.cuh"

namespace hearth::cuda {

struct Q5_0 {
  static constexpr uint32_t kBlockValues = 32, kBlockBytes = 22, kScaleColumns = 32;
  static constexpr bool kMinimum = false, kHalves = false;

  template <class Row>
  __device__ static void words(const Row& row, uint32_t p, uint32_t q, uint32_t (&w)[2][2]) {
#pragma unroll
    for (uint32_t b = 0; b < 2; ++b) {
      const uint32_t fifth = row.word(22 * b + 2, 44 * p), x = row.word(22 * b + 6, 44 * p + 4 * q);
      w[b][0] = less<16>(low_nibbles(x) | spread_bits(fifth >> 4 * q) << 4);
      w[b][1] = less<16>(low_nibbles(x >> 4) | spread_bits(fifth >> (16 + 4 * q)) << 4);
    }
  }
  template <class Row>
  __device__ static void scales(const Row& row, uint32_t half, float* scale, float*) {
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i) scale[i] = row.half(22 * (4 * half + i));
  }
};

}  // namespace hearth::cuda
