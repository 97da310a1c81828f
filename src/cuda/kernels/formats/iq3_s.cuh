// IQ3_S (quant/iq3_s.cpp).
#pragma once

#include "cuda/kernels/formats/grid_points.cuh"

namespace hearth::cuda {

__device__ const uint16_t kIq3SPoints[512] = {
#include "quant/iq3_s_points.inc"
};

struct IQ3_S {
  static constexpr uint32_t kBlockValues = 256, kBlockBytes = 110, kScaleColumns = 32;
  static constexpr bool kMinimum = false, kHalves = false;

  template <class Row>
  __device__ static void words(const Row& row, uint32_t p, uint32_t q, uint32_t (&w)[2][2]) {
#pragma unroll
    for (uint32_t b = 0; b < 2; ++b) {
      const uint32_t block = 2 * p + b, high = row.byte(66 + block);
#pragma unroll
      for (uint32_t i = 0; i < 2; ++i) {
        const uint32_t k = 4 * i + q;
        const uint32_t point = kIq3SPoints[row.byte(2 + 8 * block + k) | (high >> k & 1) << 8];
        w[b][i] = negated(four_of_eight(point, 0x07050301, 0x0f0d0b09),
                          spread_bits(four_signs(row.byte(74 + 4 * block + k / 2), q % 2)));
      }
    }
  }
  template <class Row>
  __device__ static void scales(const Row& row, uint32_t half, float* scale, float*) {
    const float d = row.half(0);
    const uint32_t codes = row.two_bytes(106 + 2 * half);
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i) scale[i] = d * static_cast<float>(1 + 2 * (codes >> 4 * i & 15));
  }
};

}  // namespace hearth::cuda
