// Measures what the hardware gives at best: see device::Limits.
#include "cuda/kernels/args.h"
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

extern "C" __global__ void __launch_bounds__(kLimitThreads) multiply_bytes(const ArithmeticLimitArgs args) {
  int sums[kByteChains][2];  // each chain its own, lest they be merged
#pragma unroll
  for (uint32_t i = 0; i < kByteChains; ++i) sums[i][0] = sums[i][1] = static_cast<int>(i);
  const uint32_t a = threadIdx.x * args.zero, b = threadIdx.x + args.zero;
#pragma unroll 4
  for (uint32_t round = 0; round < args.rounds; ++round)
#pragma unroll
    for (uint32_t i = 0; i < kByteChains; ++i)
      asm("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%0, %1}, {%2}, {%3}, {%0, %1};"
          : "+r"(sums[i][0]), "+r"(sums[i][1])
          : "r"(a), "r"(b));
  int total = 0;
#pragma unroll
  for (uint32_t i = 0; i < kByteChains; ++i) total += sums[i][0] + sums[i][1];
  if (total < 0) args.sink[blockIdx.x] = 1;
}

}  // namespace hearth::cuda
