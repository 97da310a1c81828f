// The largest values of rows, for sampling: chunks are sorted in shared memory, the best of each chunk are the
// input of the next level, until one chunk is left. A value and its column are one 64-bit key whose order is that
// of the values, of equal ones the lower column first.
#include "cuda/kernels/args.h"
#include "cuda/kernels/warp.cuh"

namespace hearth::cuda {
namespace {

// Unsigned integers in the order of the floats; NaN comes last.
__device__ uint32_t ordered(float value) {
  if (value != value) return 0;
  const uint32_t bits = __float_as_uint(value);
  return (bits & 0x80000000) != 0 ? ~bits : bits | 0x80000000;
}
__device__ float unordered(uint32_t bits) {
  return __uint_as_float((bits & 0x80000000) != 0 ? bits & 0x7fffffff : ~bits);
}

__device__ uint64_t load_key(const TopKernelArgs& args, uint32_t row, uint32_t i) {
  if (i >= args.width) return 0;
  const size_t at = size_t{row} * args.width + i;
  return args.values != nullptr ? uint64_t{ordered(args.values[at])} << 32 | ~i : args.keys[at];
}

// Bitonic (Batcher 1968), descending.
__device__ void sort_descending(uint64_t* keys) {
  for (uint32_t size = 2; size <= kTopChunk; size *= 2) {
    for (uint32_t distance = size / 2; distance != 0; distance /= 2) {
      for (uint32_t i = threadIdx.x; i < kTopChunk / 2; i += kTopThreads) {
        const uint32_t low = i / distance * 2 * distance + i % distance, high = low + distance;
        const bool descending = (low & size) == 0;
        const uint64_t a = keys[low], b = keys[high];
        if ((a < b) != descending) continue;
        keys[low] = b;
        keys[high] = a;
      }
      __syncthreads();
    }
  }
}

}  // namespace

extern "C" __global__ void __launch_bounds__(kTopThreads) top_of_chunk(const TopKernelArgs args) {
  __shared__ uint64_t keys[kTopChunk];
  const uint32_t row = blockIdx.y;
  for (uint32_t i = threadIdx.x; i < kTopChunk; i += kTopThreads)
    keys[i] = load_key(args, row, blockIdx.x * kTopChunk + i);
  __syncthreads();
  sort_descending(keys);
  const size_t first = (size_t{row} * gridDim.x + blockIdx.x) * args.count;
  for (uint32_t i = threadIdx.x; i < args.count; i += kTopThreads) {
    if (args.best == nullptr)
      args.keys_out[first + i] = keys[i];
    else
      args.best[first + i] = {static_cast<uint32_t>(~keys[i]), unordered(static_cast<uint32_t>(keys[i] >> 32))};
  }
}

}  // namespace hearth::cuda
