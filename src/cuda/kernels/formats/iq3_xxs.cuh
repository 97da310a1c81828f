// IQ3_XXS (quant/iq3_xxs.cpp).
#pragma once

#include "cuda/kernels/formats/grid_points.cuh"

namespace hearth::cuda {

__device__ const uint16_t kIq3XxsPoints[256] = {
#include "quant/iq3_xxs_points.inc"
};

struct IQ3_XXS {
  static constexpr uint32_t kBlockValues = 256, kBlockBytes = 98, kScaleColumns = 32;
  static constexpr bool kMinimum = false, kHalves = false;

  template <class Row>
  __device__ static void words(const Row& row, uint32_t p, uint32_t q, uint32_t (&w)[2][2]) {
#pragma unroll
    for (uint32_t b = 0; b < 2; ++b) {
      const uint32_t signs = row.word(4 * b + 66, 8 * p);
#pragma unroll
      for (uint32_t i = 0; i < 2; ++i) {
        const uint32_t point = kIq3XxsPoints[row.byte(2 + 8 * (2 * p + b) + 4 * i + q)];
        w[b][i] = negated(four_of_eight(point, 0x1c140c04, 0x3e342c24),
                          spread_bits(four_even_signs(signs >> 7 * (2 * i + q / 2), q % 2)));
      }
    }
  }
  template <class Row>
  __device__ static void scales(const Row& row, uint32_t half, float* scale, float*) {
    const float d = row.half(0);
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i)
      scale[i] = d * (0.5f + static_cast<float>(row.word(4 * i + 66, 16 * half) >> 28)) * 0.5f;
  }
};

}  // namespace hearth::cuda
