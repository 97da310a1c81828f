// Matrix instructions of one warp: 16 weight rows (g = lane / 4 and g + 8) times 8 activation rows. Lane = 4 g + q.
//
// Operands of 32 columns: a[0], a[1] are columns 4 q .. 4 q + 3 of weight rows g and g + 8, a[2], a[3] columns
// 16 + 4 q .. of the same; b[0], b[1] likewise of activation row g. Results: d[0], d[1]: weight row g times
// activation rows 2 q and 2 q + 1; d[2], d[3]: weight row g + 8. (PTX ISA, "Matrix Fragments for mma".)
// 7.5 has smaller instructions with the same distribution.
#pragma once

#include <cstdint>

namespace hearth::cuda {

__device__ inline void mma_8x8x16(int& d0, int& d1, uint32_t a, uint32_t b) {
  asm("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%0, %1}, {%2}, {%3}, {%0, %1};"
      : "+r"(d0), "+r"(d1)
      : "r"(a), "r"(b));
}

// d += a b, 32 columns of int8.
__device__ inline void mma_int8(int (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
#if __CUDA_ARCH__ >= 800
  asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
  mma_8x8x16(d[0], d[1], a[0], b0);
  mma_8x8x16(d[2], d[3], a[1], b0);
  mma_8x8x16(d[0], d[1], a[2], b1);
  mma_8x8x16(d[2], d[3], a[3], b1);
#endif
}

// The same for 16 columns: a0 and a1 are 4 columns of rows g and g + 8.
__device__ inline void mma_int8(int (&d)[4], uint32_t a0, uint32_t a1, uint32_t b) {
#if __CUDA_ARCH__ >= 800
  asm("mma.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
      : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
      : "r"(a0), "r"(a1), "r"(b));
#else
  mma_8x8x16(d[0], d[1], a0, b);
  mma_8x8x16(d[2], d[3], a1, b);
#endif
}

// d += a b, 16 columns of halves: a[0], a[1] are two columns of rows g and g + 8, a[2], a[3] two others; which
// ones does not matter as long as b0 and b1 are the same.
__device__ inline void mma_half(float (&d)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0,
                                uint32_t b1) {
#if __CUDA_ARCH__ >= 800
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
#else
  asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a0), "r"(a1), "r"(b0));
  asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a2), "r"(a3), "r"(b1));
#endif
}

// Sums of products of bytes that start at kIntegerStart are floats once the constant is taken off again: cheaper
// than a conversion, and exact for sums below 2^22 (32 products of bytes are).
inline constexpr int kIntegerStart = 0x4b400000;  // the bits of 1.5 * 2^23

__device__ inline float integer_sum(int d) {
  return __fsub_rn(__int_as_float(d), 12582912.0f);
}

}  // namespace hearth::cuda
