// NVFP4 (quant/nvfp4.cpp).
#pragma once

#include "cuda/kernels/formats/codebook.cuh"

namespace hearth::cuda {

struct NVFP4 {
  static constexpr uint32_t kBlockValues = 64, kBlockBytes = 36, kScaleColumns = 16;
  static constexpr bool kMinimum = false, kHalves = false;

  template <class Row>
  __device__ static void words(const Row& row, uint32_t p, uint32_t q, uint32_t (&w)[2][2]) {
#pragma unroll
    for (uint32_t s = 0; s < 4; ++s) {  // sub-blocks of 16 columns: 0 .. 7 in the low halves of 8 bytes
      uint32_t low, high;
      look_up(e2m1_codebook(), row.word(4 + 8 * s, 36 * p + q % 2 * 4), low, high);
      w[s / 2][s % 2] = q < 2 ? low : high;
    }
  }
  template <class Row>
  __device__ static void scales(const Row& row, uint32_t half, float* scale, float*) {
#pragma unroll
    for (uint32_t i = 0; i < 8; ++i) scale[i] = half_scale(row.byte(36 * (2 * half + i / 4) + i % 4));
  }

 private:
  // Half of an unsigned E4M3: the codebook has twice the values. In a half's bits lie its exponent, too small by 8,
  // and mantissa; subnormals are right as well. 127 is NaN.
  __device__ static float half_scale(uint32_t code) {
    code &= 127;
    return code == 127 ? __uint_as_float(0x7fffffffu) : half_to_float(static_cast<Half>(code << 7)) * 128;
  }
};

}  // namespace hearth::cuda
