// The kernels of one weight format: matmul_<format>_few_4, _few_8, _few_16, _few_32 and _many.
#pragma once

#include "cuda/kernels/matmul_few.cuh"
#include "cuda/kernels/matmul_many.cuh"

#define HEARTH_MATMUL_FEW(Format, tokens)                                                        \
  extern "C" __global__ void __launch_bounds__(32 * few_block_warps(tokens), few_blocks(tokens)) \
      matmul_##Format##_few_##tokens(const MatmulArgs args) {                                    \
    multiply_few<Format, tokens>(args);                                                          \
  }

#define HEARTH_MATMUL(Format)                                                                                        \
  namespace hearth::cuda {                                                                                           \
  HEARTH_MATMUL_FEW(Format, 4)                                                                                       \
  HEARTH_MATMUL_FEW(Format, 8)                                                                                       \
  HEARTH_MATMUL_FEW(Format, 16)                                                                                      \
  HEARTH_MATMUL_FEW(Format, 32)                                                                                      \
  extern "C" __global__ void __launch_bounds__(32 * kManyBlockWarps) matmul_##Format##_many(const MatmulArgs args) { \
    multiply_many<Format>(args);                                                                                     \
  }                                                                                                                  \
  }
