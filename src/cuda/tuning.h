// What is best on which generation of GPUs: numbers, found by tools/gpu-check where it was run, else estimated.
#pragma once

#include <cstdint>

namespace hearth::cuda {

struct MatmulTuning {
  int compute_capability;  // from this one on
  uint32_t few_rows;       // most activation rows that matmul_few multiplies
  uint32_t few_warps;      // per block, 8 at most
  uint32_t few_wanted;     // warps per multiprocessor that keep its memory busy
  uint32_t many_warps;     // per block: 2 or 4
  uint32_t many_stages;    // 1 or 2
};

const MatmulTuning& matmul_tuning(int compute_capability);

}  // namespace hearth::cuda
