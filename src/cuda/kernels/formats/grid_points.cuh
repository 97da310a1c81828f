// Points of the grids of the IQ formats (quant/grids.h): coordinates are levels, packed in 2 or 3 bits.
#pragma once

#include "cuda/kernels/matmul_row.cuh"

namespace hearth::cuda {

// Four levels of 2 bits -> four bytes out of the bytes of `levels`.
__device__ inline uint32_t four_of_four(uint32_t packed, uint32_t levels) {
  uint32_t x = packed & 0xff;
  x = (x | x << 4) & 0x0f0f;
  x = (x | x << 2) & 0x3333;  // a level in every 4 bits
  return __byte_perm(levels, 0, x);
}
// Four levels of 3 bits -> four bytes out of eight.
__device__ inline uint32_t four_of_eight(uint32_t packed, uint32_t low_levels, uint32_t high_levels) {
  const uint32_t x = (packed & 07) | (packed & 070) << 1 | (packed & 0700) << 2 | (packed & 07000) << 3;
  return __byte_perm(low_levels, high_levels, x);
}

// IQ2: magnitudes 8, 25 and 43 in half `half` (0, 1) of a point of eight.
__device__ inline uint32_t iq2_magnitudes(uint32_t point, uint32_t half) {
  return four_of_four(point >> 8 * half, 0x002b1908);
}

// Signs of values 4 half .. 4 half + 3 of a group, in bits 0 .. 3: eight are given, or seven (quant/grids.h).
__device__ inline uint32_t four_signs(uint32_t eight, uint32_t half) {
  return eight >> 4 * half & 15;
}
__device__ inline uint32_t four_even_signs(uint32_t seven, uint32_t half) {
  seven &= 127;
  return four_signs(seven | (__popc(seven) & 1) << 7, half);
}

}  // namespace hearth::cuda
