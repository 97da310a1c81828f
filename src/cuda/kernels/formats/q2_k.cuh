// Q2_K (quant/q2_k.cpp).
#pragma once

#include "cuda/kernels/matmul_row.cuh"

namespace hearth::cuda {

struct Q2_K {
  static constexpr uint32_t kBlockValues = 256, kBlockBytes = 84, kScaleColumns = 16;
  static constexpr bool kMinimum = true, kHalves = false;

  template <class Row>
  __device__ static void words(const Row& row, uint32_t p, uint32_t q, uint32_t (&w)[2][2]) {
    const uint32_t at = p / 2 * 32 + 4 * q, first = row.word(16, at), second = row.word(32, at);
#pragma unroll
    for (uint32_t b = 0; b < 2; ++b) {
      w[b][0] = bit_pairs(first, p % 2 * 4 + 2 * b);
      w[b][1] = bit_pairs(second, p % 2 * 4 + 2 * b);
    }
  }
  template <class Row>
  __device__ static void scales(const Row& row, uint32_t half, float* scale, float* minimum) {
    const float2 d = halves_to_floats(row.word(80, 0));
#pragma unroll
    for (uint32_t i = 0; i < 2; ++i) {
      const uint32_t four = row.word(4 * i, 8 * half);
#pragma unroll
      for (uint32_t k = 0; k < 4; ++k) {
        scale[4 * i + k] = d.x * byte_of(low_nibbles(four), k);
        minimum[4 * i + k] = d.y * byte_of(low_nibbles(four >> 4), k);
      }
    }
  }
};

}  // namespace hearth::cuda
