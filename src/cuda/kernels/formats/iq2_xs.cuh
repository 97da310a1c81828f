// IQ2_XS (quant/iq2_xs.cpp).
#pragma once

#include "cuda/kernels/formats/grid_points.cuh"

namespace hearth::cuda {

__device__ const uint16_t kIq2XsPoints[512] = {
#include "quant/iq2_xs_points.inc"
};

struct IQ2_XS {
  static constexpr uint32_t kBlockValues = 256, kBlockBytes = 74, kScaleColumns = 16;
  static constexpr bool kMinimum = false, kHalves = false;

  template <class Row>
  __device__ static void words(const Row& row, uint32_t p, uint32_t q, uint32_t (&w)[2][2]) {
#pragma unroll
    for (uint32_t b = 0; b < 2; ++b)
#pragma unroll
      for (uint32_t i = 0; i < 2; ++i) {
        const uint32_t code = row.two_bytes(2 + 2 * (8 * p + 4 * b + 2 * i + q / 2));
        w[b][i] =
            negated(iq2_magnitudes(kIq2XsPoints[code & 511], q % 2), spread_bits(four_even_signs(code >> 9, q % 2)));
      }
  }
  template <class Row>
  __device__ static void scales(const Row& row, uint32_t half, float* scale, float*) {
    const float d = row.half(0);
    const uint32_t codes = row.word(66, 4 * half);
#pragma unroll
    for (uint32_t i = 0; i < 8; ++i) scale[i] = d * (0.5f + static_cast<float>(codes >> 4 * i & 15)) * 0.25f;
  }
};

}  // namespace hearth::cuda
