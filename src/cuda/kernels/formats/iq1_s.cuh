// IQ1_S (quant/iq1_s.cpp).
#pragma once

#include "cuda/kernels/formats/iq1_points.cuh"

namespace hearth::cuda {

struct IQ1_S {
  static constexpr uint32_t kBlockValues = 256, kBlockBytes = 50, kScaleColumns = 32;
  static constexpr bool kMinimum = false, kHalves = false;

  template <class Row>
  __device__ static void words(const Row& row, uint32_t p, uint32_t q, uint32_t (&w)[2][2]) {
#pragma unroll
    for (uint32_t b = 0; b < 2; ++b) {
      const uint32_t block = 2 * p + b, rest = row.two_bytes(34 + 2 * block);
#pragma unroll
      for (uint32_t i = 0; i < 2; ++i) {
        const uint32_t group = 2 * i + q / 2;
        const uint32_t number = row.byte(2 + 4 * block + group) | (rest >> 3 * group & 7) << 8;
        w[b][i] = iq1_codes(number, q % 2, (rest & 0x8000) != 0);
      }
    }
  }
  template <class Row>
  __device__ static void scales(const Row& row, uint32_t half, float* scale, float*) {
    const float d = row.half(0);
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i)
      scale[i] = d * static_cast<float>(2 * (row.two_bytes(34 + 8 * half + 2 * i) >> 12 & 7) + 1) * 0.125f;
  }
};

}  // namespace hearth::cuda
