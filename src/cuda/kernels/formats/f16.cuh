// F16: plain halves.
#pragma once

#include "cuda/kernels/matmul_row.cuh"

namespace hearth::cuda {

struct F16 {
  static constexpr uint32_t kBlockValues = 1, kBlockBytes = 2;
  static constexpr bool kHalves = true;

  // Columns 8 q .. 8 q + 7 of a block of 32.
  template <class Row>
  __device__ static void numbers(const Row& row, uint32_t block, uint32_t q, uint32_t (&halves)[4]) {
    load_words(row, block, q, halves);
  }

  template <class Row>
  __device__ static void load_words(const Row& row, uint32_t block, uint32_t q, uint32_t (&words)[4]) {
    const uint8_t* at = row.data() + 64 * block + 16 * q;
    if (reinterpret_cast<uintptr_t>(at) % 16 == 0) {  // rows of whole units of 16 bytes
      const uint4 unit = *reinterpret_cast<const uint4*>(at);
      words[0] = unit.x, words[1] = unit.y, words[2] = unit.z, words[3] = unit.w;
      return;
    }
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i) words[i] = row.word(4 * i, 64 * block + 16 * q);
  }
};

}  // namespace hearth::cuda
