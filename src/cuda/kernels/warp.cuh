// Sums and maxima over the lanes of a warp and the warps of a block. The order of every sum is fixed.
#pragma once

#include <cstdint>

namespace hearth::cuda {

inline constexpr uint32_t kAllLanes = 0xffffffff;

__device__ inline uint32_t lane_of_warp() {
  return threadIdx.x % 32;
}

__device__ inline float warp_sum(float x) {
#pragma unroll
  for (uint32_t distance = 16; distance != 0; distance /= 2) x += __shfl_xor_sync(kAllLanes, x, distance);
  return x;
}
__device__ inline float warp_max(float x) {
#pragma unroll
  for (uint32_t distance = 16; distance != 0; distance /= 2) x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, distance));
  return x;
}

// Every thread gets the sum over all threads of a block of kThreads. `scratch`: kThreads / 32 floats of
// shared memory that no warp still reads.
template <uint32_t kThreads>
__device__ inline float block_sum(float x, float* scratch) {
  constexpr uint32_t kWarps = kThreads / 32;
  x = warp_sum(x);
  if (lane_of_warp() == 0) scratch[threadIdx.x / 32] = x;
  __syncthreads();
  float total = 0;
#pragma unroll
  for (uint32_t warp = 0; warp < kWarps; ++warp) total += scratch[warp];
  return total;
}

}  // namespace hearth::cuda
