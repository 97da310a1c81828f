// BF16 as halves: exact from 2^-14 to 65504, to within 2^-25 below; larger numbers become 65504, what is no finite number
// stays broken.
#pragma once

#include "cuda/kernels/formats/f16.cuh"

namespace hearth::cuda {

struct BF16 {
  static constexpr uint32_t kBlockValues = 1, kBlockBytes = 2;
  static constexpr bool kHalves = true;

  template <class Row>
  __device__ static void numbers(const Row& row, uint32_t block, uint32_t q, uint32_t (&halves)[4]) {
    uint32_t words[4];
    F16::load_words(row, block, q, words);
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i)
      halves[i] = floats_to_halves(clamped(words[i] << 16), clamped(words[i] & 0xffff0000));
  }

 private:
  __device__ static float clamped(uint32_t bits) {
    const float x = __uint_as_float(bits);
    return fmaf(x, 0, fminf(fmaxf(x, -65504), 65504));
  }
};

}  // namespace hearth::cuda
