// IQ4_XS (quant/iq4_xs.cpp).
#pragma once

#include "cuda/kernels/formats/codebook.cuh"

namespace hearth::cuda {

struct IQ4_XS {
  static constexpr uint32_t kBlockValues = 256, kBlockBytes = 136, kScaleColumns = 32;
  static constexpr bool kMinimum = false, kHalves = false;

  template <class Row>
  __device__ static void words(const Row& row, uint32_t p, uint32_t q, uint32_t (&w)[2][2]) {
#pragma unroll
    for (uint32_t b = 0; b < 2; ++b) look_up(iq4_codebook(), row.word(8 + 16 * b, 32 * p + 4 * q), w[b][0], w[b][1]);
  }
  template <class Row>
  __device__ static void scales(const Row& row, uint32_t half, float* scale, float*) {
    const uint32_t head = row.word(0, 0), low = row.word(4, 0) >> 16 * half, high = head >> (16 + 8 * half);
    const float d = halves_to_floats(head).x;
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i)
      scale[i] = d * (static_cast<float>((low >> 4 * i & 15) | (high >> 2 * i & 3) << 4) - 32);
  }
};

}  // namespace hearth::cuda
