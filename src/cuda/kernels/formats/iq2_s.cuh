// IQ2_S (quant/iq2_s.cpp).
#pragma once

#include "cuda/kernels/formats/grid_points.cuh"

namespace hearth::cuda {

__device__ const uint16_t kIq2SPoints[1024] = {
#include "quant/iq2_s_points.inc"
};

struct IQ2_S {
  static constexpr uint32_t kBlockValues = 256, kBlockBytes = 82, kScaleColumns = 16;
  static constexpr bool kMinimum = false, kHalves = false;

  template <class Row>
  __device__ static void words(const Row& row, uint32_t p, uint32_t q, uint32_t (&w)[2][2]) {
#pragma unroll
    for (uint32_t b = 0; b < 2; ++b) {
      const uint32_t high = row.byte(66 + 2 * p + b);
#pragma unroll
      for (uint32_t i = 0; i < 2; ++i) {
        const uint32_t k = 2 * i + q / 2, group = 8 * p + 4 * b + k;
        const uint32_t number = row.byte(2 + group) | (high >> 2 * k & 3) << 8;
        w[b][i] =
            negated(iq2_magnitudes(kIq2SPoints[number], q % 2), spread_bits(four_signs(row.byte(34 + group), q % 2)));
      }
    }
  }
  template <class Row>
  __device__ static void scales(const Row& row, uint32_t half, float* scale, float*) {
    const float d = row.half(0);
    const uint32_t codes = row.word(74, 4 * half);
#pragma unroll
    for (uint32_t i = 0; i < 8; ++i) scale[i] = d * (0.5f + static_cast<float>(codes >> 4 * i & 15)) * 0.25f;
  }
};

}  // namespace hearth::cuda
