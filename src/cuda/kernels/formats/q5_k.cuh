// Q5_K (quant/q5_k.cpp).
#pragma once

#include "cuda/kernels/formats/k_scales.cuh"

namespace hearth::cuda {

struct Q5_K {
  static constexpr uint32_t kBlockValues = 256, kBlockBytes = 176, kScaleColumns = 32;
  static constexpr bool kMinimum = true, kHalves = false;

  template <class Row>
  __device__ static void words(const Row& row, uint32_t p, uint32_t q, uint32_t (&w)[2][2]) {
#pragma unroll
    for (uint32_t i = 0; i < 2; ++i) {
      const uint32_t x = row.word(48 + 16 * i, 32 * p + 4 * q), fifth = row.word(16 + 16 * i, 4 * q);
      w[0][i] = low_nibbles(x) | single_bits(fifth, 2 * p) << 4;
      w[1][i] = low_nibbles(x >> 4) | single_bits(fifth, 2 * p + 1) << 4;
    }
  }
  template <class Row>
  __device__ static void scales(const Row& row, uint32_t half, float* scale, float* minimum) {
    unpack_k_scales(row, half, scale, minimum);
  }
};

}  // namespace hearth::cuda
