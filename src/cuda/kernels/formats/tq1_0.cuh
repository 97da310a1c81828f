// TQ1_0 (quant/tq1_0.cpp): digits of base 3.
#pragma once

#include "cuda/kernels/matmul_row.cuh"

namespace hearth::cuda {

struct TQ1_0 {
  static constexpr uint32_t kBlockValues = 256, kBlockBytes = 54, kScaleColumns = 32;
  static constexpr bool kMinimum = false, kHalves = false;

  template <class Row>
  __device__ static void words(const Row& row, uint32_t p, uint32_t q, uint32_t (&w)[2][2]) {
#pragma unroll
    for (uint32_t b = 0; b < 2; ++b)
#pragma unroll
      for (uint32_t i = 0; i < 2; ++i) w[b][i] = sixteen(row, 4 * p + 2 * b + i, q);
  }
  template <class Row>
  __device__ static void scales(const Row& row, uint32_t, float* scale, float*) {
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i) scale[i] = row.half(52);
  }

 private:
  // Columns 4 q .. of the `s`-th 16: ten times 16 as digits 0 .. 4 of 32 bytes, five as digits of 16, one as
  // digits 0 .. 3 of four.
  template <class Row>
  __device__ static uint32_t sixteen(const Row& row, uint32_t s, uint32_t q) {
    if (s < 10) return digit(row.word(0, s % 2 * 16 + 4 * q), s / 2);
    if (s < 15) return digit(row.word(32, 4 * q), s - 10);
    return digit(row.word(48, 0), q);
  }
  // Digit n of four bytes, less 1. Two bytes at a time, in halves of a word.
  __device__ static uint32_t digit(uint32_t x, uint32_t n) {
    const uint32_t power = n == 0 ? 1 : n == 1 ? 3 : n == 2 ? 9 : n == 3 ? 27 : 81;
    const uint32_t even = ((x & 0x00ff00ff) * power & 0x00ff00ff) * 3 >> 8 & 0x00ff00ff;
    const uint32_t odd = ((x >> 8 & 0x00ff00ff) * power & 0x00ff00ff) * 3 & 0xff00ff00;
    return less<1>(even | odd);
  }
};

}  // namespace hearth::cuda
