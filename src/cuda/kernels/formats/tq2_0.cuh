// TQ2_0 (quant/tq2_0.cpp).
#pragma once

#include "cuda/kernels/matmul_row.cuh"

namespace hearth::cuda {

struct TQ2_0 {
  static constexpr uint32_t kBlockValues = 256, kBlockBytes = 66, kScaleColumns = 32;
  static constexpr bool kMinimum = false, kHalves = false;

  template <class Row>
  __device__ static void words(const Row& row, uint32_t p, uint32_t q, uint32_t (&w)[2][2]) {
#pragma unroll
    for (uint32_t i = 0; i < 2; ++i) {
      const uint32_t x = row.word(16 * i, p / 2 * 32 + 4 * q);
#pragma unroll
      for (uint32_t b = 0; b < 2; ++b) w[b][i] = less<1>(bit_pairs(x, p % 2 * 4 + 2 * b));
    }
  }
  template <class Row>
  __device__ static void scales(const Row& row, uint32_t, float* scale, float*) {
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i) scale[i] = row.half(64);
  }
};

}  // namespace hearth::cuda
