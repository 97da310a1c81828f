// MXFP4 (quant/mxfp4.cpp).
#pragma once

#include "cuda/kernels/formats/codebook.cuh"

namespace hearth::cuda {

struct MXFP4 {
  static constexpr uint32_t kBlockValues = 32, kBlockBytes = 17, kScaleColumns = 32;
  static constexpr bool kMinimum = false, kHalves = false;

  template <class Row>
  __device__ static void words(const Row& row, uint32_t p, uint32_t q, uint32_t (&w)[2][2]) {
#pragma unroll
    for (uint32_t b = 0; b < 2; ++b) look_up(e2m1_codebook(), row.word(17 * b + 1, 34 * p + 4 * q), w[b][0], w[b][1]);
  }
  template <class Row>
  __device__ static void scales(const Row& row, uint32_t half, float* scale, float*) {
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i) {
      const uint32_t e = row.byte(17 * (4 * half + i));  // half of 2^(e - 127): the codebook has twice the values
      scale[i] = __uint_as_float(e == 255 ? 0x7fffffffu : e < 2 ? 0x00200000u << e : (e - 1) << 23);
    }
  }
};

}  // namespace hearth::cuda
