#include "cuda/tuning.h"

namespace hearth::cuda {
namespace {

// All estimated from shared memory (64 KiB in 7.5, 163 in 8.0, 99 in 8.6, 8.9 and 12.0, 227 from 9.0 on) and from
// latency times bandwidth per multiprocessor: none of them has been measured yet.
constexpr MatmulTuning kTable[] = {
    // capability, few: rows, warps, wanted, many: warps, stages
    {75, 64, 4, 8, 2, 1}, {80, 64, 8, 16, 4, 2}, {86, 64, 4, 8, 4, 1}, {90, 64, 8, 16, 4, 2}, {120, 64, 4, 8, 4, 1},
};

}  // namespace

const MatmulTuning& matmul_tuning(int compute_capability) {
  const MatmulTuning* best = &kTable[0];
  for (const MatmulTuning& row : kTable)
    if (row.compute_capability <= compute_capability) best = &row;
  return *best;
}

}  // namespace hearth::cuda
