// Q8_0 (quant/q8_0.cpp).
#pragma once

#include "cuda/kernels/matmul_row.cuh"

namespace hearth::cuda {

struct Q8_0 {
  static constexpr uint32_t kBlockValues = 32, kBlockBytes = 34, kScaleColumns = 32;
  static constexpr bool kMinimum = false, kHalves = false;

  template <class Row>
  __device__ static void words(const Row& row, uint32_t p, uint32_t q, uint32_t (&w)[2][2]) {
#pragma unroll
    for (uint32_t b = 0; b < 2; ++b) {
      w[b][0] = row.word(34 * b + 2, 68 * p + 4 * q);
      w[b][1] = row.word(34 * b + 18, 68 * p + 4 * q);
    }
  }
  template <class Row>
  __device__ static void scales(const Row& row, uint32_t half, float* scale, float*) {
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i) scale[i] = row.half(34 * (4 * half + i));
  }
};

}  // namespace hearth::cuda
