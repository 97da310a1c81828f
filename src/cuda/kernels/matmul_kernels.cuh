// The kernels of one weight format: matmul_<format>_few_4, _few_8, _few_16, _few_32 and _many.
#pragma once

#include "cuda/kernels/matmul_few.cuh"
#include "cuda/kernels/matmul_many.cuh"

#define HEARTH_MATMUL_FEW(Format, tokens, blocks)                                                                   \
  extern "C" __global__ void __launch_bounds__(256, blocks) matmul_##Format##_few_##tokens(const MatmulArgs args) { \
    multiply_few<Format, tokens>(args);                                                                             \
  }

#define HEARTH_MATMUL(Format)                                                                       \
  namespace hearth::cuda {                                                                          \
  HEARTH_MATMUL_FEW(Format, 4, 2)                                                                   \
  HEARTH_MATMUL_FEW(Format, 8, 2)                                                                   \
  HEARTH_MATMUL_FEW(Format, 16, 1)                                                                  \
  HEARTH_MATMUL_FEW(Format, 32, 1)                                                                  \
  extern "C" __global__ void __launch_bounds__(128) matmul_##Format##_many(const MatmulArgs args) { \
    multiply_many<Format>(args);                                                                    \
  }                                                                                                 \
  }
