// IQ1_M (quant/iq1_m.cpp).
#pragma once

#include "cuda/kernels/formats/iq1_points.cuh"

namespace hearth::cuda {

struct IQ1_M {
  static constexpr uint32_t kBlockValues = 256, kBlockBytes = 56, kScaleColumns = 16;
  static constexpr bool kMinimum = false, kHalves = false;

  template <class Row>
  __device__ static void words(const Row& row, uint32_t p, uint32_t q, uint32_t (&w)[2][2]) {
#pragma unroll
    for (uint32_t b = 0; b < 2; ++b)
#pragma unroll
      for (uint32_t i = 0; i < 2; ++i) {
        const uint32_t group = 8 * p + 4 * b + 2 * i + q / 2;
        const uint32_t rest = row.byte(32 + group / 2) >> group % 2 * 4;
        w[b][i] = iq1_codes(row.byte(group) | (rest & 7) << 8, q % 2, (rest & 8) != 0);
      }
  }
  template <class Row>
  __device__ static void scales(const Row& row, uint32_t half, float* scale, float*) {
    const uint32_t a = row.word(48, 0), b = row.word(52, 0);
    const uint32_t bits = (a >> 12 & 0xf) | (a >> 24 & 0xf0) | (b >> 4 & 0xf00) | (b >> 16 & 0xf000);
    const float d = half_to_float(static_cast<Half>(bits));
    const uint32_t mine = half == 0 ? a : b;
#pragma unroll
    for (uint32_t i = 0; i < 8; ++i)
      scale[i] = d * static_cast<float>(2 * (mine >> (i / 4 * 16 + i % 4 * 3) & 7) + 1) * 0.125f;
  }
};

}  // namespace hearth::cuda
