// Codes of 4 bits that stand for uneven integers (quant/codebook.h), four at a time.
#pragma once

#include "cuda/kernels/matmul_row.cuh"

namespace hearth::cuda {

// 16 values as bytes: code 0 in the low bits of `values[0]`.
struct Codebook {
  uint32_t values[4];
};

// -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113
__device__ inline Codebook iq4_codebook() {
  return {{0xbfad9881, 0xf6eaddcf, 0x26190d01, 0x71594535}};
}
// 0, 1, 2, 3, 4, 6, 8, 12, and the negative ones
__device__ inline Codebook e2m1_codebook() {
  return {{0x03020100, 0x0c080604, 0xfdfeff00, 0xf4f8fafc}};
}

// The values of eight codes: those in the low halves of the bytes of x, and those in the high halves. A byte
// permutation looks up eight values; bit 3 of a code decides between two of them.
__device__ inline void look_up(const Codebook& book, uint32_t x, uint32_t& low, uint32_t& high) {
  const uint32_t which = x & 0x77777777, upper = x >> 1 & 0x44444444;
  const uint32_t a = __byte_perm(book.values[0], book.values[1], which);
  const uint32_t b = __byte_perm(book.values[2], book.values[3], which);
  const uint32_t c = __byte_perm(book.values[0], book.values[1], which >> 16);
  const uint32_t d = __byte_perm(book.values[2], book.values[3], which >> 16);
  const uint32_t first = __byte_perm(a, b, 0x3210 | (upper & 0xffff));  // codes of bytes 0 and 1: low, high, low, high
  const uint32_t second = __byte_perm(c, d, 0x3210 | upper >> 16);
  low = __byte_perm(first, second, 0x6420);
  high = __byte_perm(first, second, 0x7531);
}

}  // namespace hearth::cuda
