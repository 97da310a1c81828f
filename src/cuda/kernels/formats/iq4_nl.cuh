// IQ4_NL (quant/iq4_nl.cpp).
#pragma once

#include "cuda/kernels/formats/codebook.cuh"

namespace hearth::cuda {

struct IQ4_NL {
  static constexpr uint32_t kBlockValues = 32, kBlockBytes = 18, kScaleColumns = 32;
  static constexpr bool kMinimum = false, kHalves = false;

  template <class Row>
  __device__ static void words(const Row& row, uint32_t p, uint32_t q, uint32_t (&w)[2][2]) {
#pragma unroll
    for (uint32_t b = 0; b < 2; ++b) look_up(iq4_codebook(), row.word(18 * b + 2, 36 * p + 4 * q), w[b][0], w[b][1]);
  }
  template <class Row>
  __device__ static void scales(const Row& row, uint32_t half, float* scale, float*) {
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i) scale[i] = row.half(18 * (4 * half + i));
  }
};

}  // namespace hearth::cuda
