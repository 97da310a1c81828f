// Sums of arrays with factors of each row's own.
#include "cuda/kernels/args.h"

namespace hearth::cuda {

extern "C" __global__ void __launch_bounds__(kMixThreads) mix(const MixKernelArgs args) {
  const uint32_t column = blockIdx.x * kMixThreads + threadIdx.x, row = blockIdx.y;
  if (column >= args.width) return;
  const size_t at = size_t{row} * args.width + column;
  const float* coefficients = args.coefficients + size_t{row} * args.ins * args.outs;
  float in[kMostMixed];
#pragma unroll
  for (uint32_t j = 0; j < kMostMixed; ++j) in[j] = j < args.ins ? args.in[j * args.in_array + at] : 0;
  for (uint32_t k = 0; k < args.outs; ++k) {
    float sum = args.out[k * args.out_array + at];
#pragma unroll
    for (uint32_t j = 0; j < kMostMixed; ++j)
      if (j < args.ins) sum = fmaf(args.offset + coefficients[k * args.ins + j], in[j], sum);
    args.out[k * args.out_array + at] = sum;
  }
}

}  // namespace hearth::cuda
