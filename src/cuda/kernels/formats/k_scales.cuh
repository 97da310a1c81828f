// The 6-bit scales and minima of Q4_K and Q5_K (quant/k_scales.h), at bytes 4 .. 15 of a block, after d and dmin.
#pragma once

#include "cuda/kernels/matmul_row.cuh"

namespace hearth::cuda {

template <class Row>
__device__ inline void unpack_k_scales(const Row& row, uint32_t half, float* scale, float* minimum) {
  const float2 d = halves_to_floats(row.word(0, 0));
  const uint32_t s = row.word(4, 0), m = row.word(8, 0), last = row.word(12, 0);
  const uint32_t scales = half == 0 ? s & 0x3f3f3f3f : low_nibbles(last) | (s >> 2 & 0x30303030);
  const uint32_t minima = half == 0 ? m & 0x3f3f3f3f : low_nibbles(last >> 4) | (m >> 2 & 0x30303030);
#pragma unroll
  for (uint32_t i = 0; i < 4; ++i) {
    scale[i] = d.x * byte_of(scales, i);
    minimum[i] = d.y * byte_of(minima, i);
  }
}

}  // namespace hearth::cuda
