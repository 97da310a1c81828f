// Q6_K (quant/q6_k.cpp).
#pragma once

#include "cuda/kernels/matmul_row.cuh"

namespace hearth::cuda {

struct Q6_K {
  static constexpr uint32_t kBlockValues = 256, kBlockBytes = 210, kScaleColumns = 16;
  static constexpr bool kMinimum = false, kHalves = false;

  template <class Row>
  __device__ static void words(const Row& row, uint32_t p, uint32_t q, uint32_t (&w)[2][2]) {
#pragma unroll
    for (uint32_t i = 0; i < 2; ++i) {
      const uint32_t high = row.word(128 + 16 * i, p / 2 * 32 + 4 * q);
#pragma unroll
      for (uint32_t b = 0; b < 2; ++b) {
        const uint32_t low = low_nibbles(row.word(32 * b + 16 * i, p / 2 * 64 + 4 * q) >> p % 2 * 4);
        w[b][i] = less<32>(low | bit_pairs(high, p % 2 * 4 + 2 * b) << 4);
      }
    }
  }
  template <class Row>
  __device__ static void scales(const Row& row, uint32_t half, float* scale, float*) {
    const float d = row.half(208);
#pragma unroll
    for (uint32_t i = 0; i < 2; ++i) {
      const uint32_t four = row.word(192 + 4 * i, 8 * half);
#pragma unroll
      for (uint32_t k = 0; k < 4; ++k) scale[4 * i + k] = d * signed_byte_of(four, k);
    }
  }
};

}  // namespace hearth::cuda
