// Q3_K (quant/q3_k.cpp).
#pragma once

#include "cuda/kernels/matmul_row.cuh"

namespace hearth::cuda {

struct Q3_K {
  static constexpr uint32_t kBlockValues = 256, kBlockBytes = 110, kScaleColumns = 16;
  static constexpr bool kMinimum = false, kHalves = false;

  template <class Row>
  __device__ static void words(const Row& row, uint32_t p, uint32_t q, uint32_t (&w)[2][2]) {
#pragma unroll
    for (uint32_t i = 0; i < 2; ++i) {
      const uint32_t low = row.word(32 + 16 * i, p / 2 * 32 + 4 * q), third = row.word(16 * i, 4 * q);
#pragma unroll
      for (uint32_t b = 0; b < 2; ++b)
        w[b][i] = less<4>(bit_pairs(low, p % 2 * 4 + 2 * b) | single_bits(third, 2 * p + b) << 2);
    }
  }
  template <class Row>
  __device__ static void scales(const Row& row, uint32_t half, float* scale, float*) {
    const float d = row.half(108);
    const uint32_t high = row.word(104, 0);
#pragma unroll
    for (uint32_t i = 0; i < 2; ++i) {
      const uint32_t low = low_nibbles(row.word(96 + 4 * i, 0) >> 4 * half);
      const uint32_t six = low | bit_pairs(high, 4 * half + 2 * i) << 4;
#pragma unroll
      for (uint32_t k = 0; k < 4; ++k) scale[4 * i + k] = d * (byte_of(six, k) - 32);
    }
  }
};

}  // namespace hearth::cuda
