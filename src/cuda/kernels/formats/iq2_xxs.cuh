// IQ2_XXS (quant/iq2_xxs.cpp).
#pragma once

#include "cuda/kernels/formats/grid_points.cuh"

namespace hearth::cuda {

__device__ const uint16_t kIq2XxsPoints[256] = {
#include "quant/iq2_xxs_points.inc"
};

struct IQ2_XXS {
  static constexpr uint32_t kBlockValues = 256, kBlockBytes = 66, kScaleColumns = 32;
  static constexpr bool kMinimum = false, kHalves = false;

  template <class Row>
  __device__ static void words(const Row& row, uint32_t p, uint32_t q, uint32_t (&w)[2][2]) {
#pragma unroll
    for (uint32_t b = 0; b < 2; ++b) {
      const uint32_t signs = row.word(8 * b + 6, 16 * p);
#pragma unroll
      for (uint32_t i = 0; i < 2; ++i) {
        const uint32_t group = 2 * i + q / 2, point = kIq2XxsPoints[row.byte(2 + 8 * (2 * p + b) + group)];
        w[b][i] = negated(iq2_magnitudes(point, q % 2), spread_bits(four_even_signs(signs >> 7 * group, q % 2)));
      }
    }
  }
  template <class Row>
  __device__ static void scales(const Row& row, uint32_t half, float* scale, float*) {
    const float d = row.half(0);
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i)
      scale[i] = d * (0.5f + static_cast<float>(row.word(8 * i + 6, 32 * half) >> 28)) * 0.25f;
  }
};

}  // namespace hearth::cuda
