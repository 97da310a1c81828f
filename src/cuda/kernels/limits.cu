// hearth-targets: 75 80
// Measures what the hardware gives at best: see device::Limits.
#include "cuda/kernels/args.h"
#include "cuda/kernels/matmul_mma.cuh"
#include "cuda/kernels/warp.cuh"

namespace hearth::cuda {

extern "C" __global__ void __launch_bounds__(kLimitThreads) read_all(const ReadLimitArgs args) {
  const uint4* data = reinterpret_cast<const uint4*>(args.data);
  const uint64_t step = uint64_t{gridDim.x} * kLimitThreads;
  uint32_t sum = 0;
#pragma unroll 8
  for (uint64_t i = uint64_t{blockIdx.x} * kLimitThreads + threadIdx.x; i < args.units; i += step) {
    const uint4 x = data[i];
    sum += x.x ^ x.y ^ x.z ^ x.w;
  }
  if (__syncthreads_or(sum == 0x9e3779b9u) != 0 && threadIdx.x == 0) args.sink[blockIdx.x] = sum;
}

extern "C" __global__ void __launch_bounds__(kLimitThreads) multiply_floats(const ArithmeticLimitArgs args) {
  float sums[kFloatChains];
#pragma unroll
  for (uint32_t i = 0; i < kFloatChains; ++i) sums[i] = static_cast<float>(threadIdx.x + i);
  const float factor = 1 + static_cast<float>(args.zero), summand = static_cast<float>(args.zero);
#pragma unroll 4
  for (uint32_t round = 0; round < args.rounds; ++round)
#pragma unroll
    for (uint32_t i = 0; i < kFloatChains; ++i) sums[i] = fmaf(sums[i], factor, summand);
  float total = 0;
#pragma unroll
  for (uint32_t i = 0; i < kFloatChains; ++i) total += sums[i];
  if (total < 0) args.sink[blockIdx.x] = 1;
}

// With the instruction that the products use (matmul_mma.cuh).
extern "C" __global__ void __launch_bounds__(kLimitThreads) multiply_bytes(const ArithmeticLimitArgs args) {
  int sums[kByteChains][4];  // each chain its own, lest they be merged
#pragma unroll
  for (uint32_t i = 0; i < kByteChains; ++i)
#pragma unroll
    for (uint32_t k = 0; k < 4; ++k) sums[i][k] = static_cast<int>(i + k);
  const uint32_t x = threadIdx.x * args.zero, b = threadIdx.x + args.zero;
  const uint32_t a[4] = {x, x + args.zero, x + 2 * args.zero, x + 3 * args.zero};
#pragma unroll 4
  for (uint32_t round = 0; round < args.rounds; ++round)
#pragma unroll
    for (uint32_t i = 0; i < kByteChains; ++i) mma_int8(sums[i], a, b, b);
  int total = 0;
#pragma unroll
  for (uint32_t i = 0; i < kByteChains; ++i)
#pragma unroll
    for (uint32_t k = 0; k < 4; ++k) total += sums[i][k];
  if (total < 0) args.sink[blockIdx.x] = 1;
}

}  // namespace hearth::cuda
