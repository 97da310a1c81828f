// Copies from global to shared memory: in the background from 8.0 on, at once on 7.5.
#pragma once

#include <cstdint>

namespace hearth::cuda {

// 16 bytes; those from `end` on are zeros and are not read.
__device__ inline void copy_unit(uint8_t* to, const uint8_t* from, const uint8_t* end) {
  const int64_t left = end - from;
#if __CUDA_ARCH__ >= 800
  const uint32_t bytes = left >= 16 ? 16 : left > 0 ? static_cast<uint32_t>(left) : 0;
  asm volatile(
      "cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(static_cast<uint32_t>(__cvta_generic_to_shared(to))),
      "l"(__cvta_generic_to_global(from)), "r"(bytes)
      : "memory");
#else
  if (left >= 16) {
    *reinterpret_cast<uint4*>(to) = __ldg(reinterpret_cast<const uint4*>(from));
    return;
  }
  for (int i = 0; i < 16; ++i) to[i] = i < left ? from[i] : 0;
#endif
}

// 16 bytes that are all there.
__device__ inline void copy_unit(uint8_t* to, const uint8_t* from) {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(static_cast<uint32_t>(__cvta_generic_to_shared(to))),
               "l"(__cvta_generic_to_global(from))
               : "memory");
#else
  *reinterpret_cast<uint4*>(to) = __ldg(reinterpret_cast<const uint4*>(from));
#endif
}
__device__ inline void copy_half_unit(uint8_t* to, const uint8_t* from) {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.ca.shared.global [%0], [%1], 8;" ::"r"(static_cast<uint32_t>(__cvta_generic_to_shared(to))),
               "l"(__cvta_generic_to_global(from))
               : "memory");
#else
  *reinterpret_cast<uint2*>(to) = __ldg(reinterpret_cast<const uint2*>(from));
#endif
}

// Ends a group of copies of this thread.
__device__ inline void end_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
// Waits until all but the newest kOpen groups of this thread have arrived.
template <int kOpen>
__device__ inline void wait_for_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(kOpen) : "memory");
#endif
}

}  // namespace hearth::cuda
