// The largest logits of rows, for sampling: the best of each chunk are the input of the next level, until one chunk
// is left. A value and its column are one 64-bit key whose order is that of the values, of equal ones the lower
// column first.
#include <cfloat>

#include "cuda/kernels/args.h"
#include "cuda/kernels/broken.cuh"
#include "cuda/kernels/warp.cuh"

namespace hearth::cuda {
namespace {

constexpr uint32_t kPairsPerThread = kBestChunk / 2 / kBestThreads;

// As sampling sees logits: numbers only, and one zero.
__device__ float comparable(float value) {
  if (value != value) return -INFINITY;
  return fminf(value, FLT_MAX) + 0.0f;
}

// Unsigned integers in the order of the floats.
__device__ uint32_t ordered(float value) {
  const uint32_t bits = __float_as_uint(value);
  return (bits & 0x80000000) != 0 ? ~bits : bits | 0x80000000;
}
__device__ float unordered(uint32_t bits) {
  return __uint_as_float((bits & 0x80000000) != 0 ? bits & 0x7fffffff : ~bits);
}

__device__ uint64_t load_key(const BestKernelArgs& args, uint32_t row, uint32_t i) {
  if (i >= args.width) return 0;  // below every value
  const size_t at = size_t{row} * args.width + i;
  return args.values != nullptr ? uint64_t{ordered(comparable(args.values[at]))} << 32 | ~i : args.keys[at];
}

// One round of Batcher's bitonic sort (1968) on the first `live` keys: descending where bit `size` of a place is 0.
__device__ void exchange(uint64_t* keys, uint32_t live, uint32_t size, uint32_t distance) {
  for (uint32_t i = threadIdx.x; i < live / 2; i += kBestThreads) {
    const uint32_t low = i / distance * 2 * distance + i % distance, high = low + distance;
    const uint64_t a = keys[low], b = keys[high];
    if ((a < b) != ((low & size) == 0)) continue;
    keys[low] = b;
    keys[high] = a;
  }
  __syncthreads();
}

// Runs of `run` keys, one descending and the next ascending: the larger of each pair of places are the best `run` of
// both. Leaves half as many keys.
__device__ void keep_best_of_pairs(uint64_t* keys, uint32_t live, uint32_t run) {
  uint64_t kept[kPairsPerThread];
#pragma unroll
  for (uint32_t k = 0; k < kPairsPerThread; ++k) {
    const uint32_t i = threadIdx.x + k * kBestThreads, low = i / run * 2 * run + i % run;
    if (i < live / 2) kept[k] = max(keys[low], keys[low + run]);
  }
  __syncthreads();
#pragma unroll
  for (uint32_t k = 0; k < kPairsPerThread; ++k) {
    const uint32_t i = threadIdx.x + k * kBestThreads;
    if (i < live / 2) keys[i] = kept[k];
  }
  __syncthreads();
}

// The best `run` of all keys to the front, descending (Shanbhag, Pirk and Madden 2018, "Efficient Top-K Query
// Processing on GPUs": no more is sorted than is wanted).
__device__ void sort_best(uint64_t* keys, uint32_t run) {
  for (uint32_t size = 2; size <= run; size *= 2)
    for (uint32_t distance = size / 2; distance != 0; distance /= 2) exchange(keys, kBestChunk, size, distance);
  for (uint32_t live = kBestChunk; live > run; live /= 2) {
    keep_best_of_pairs(keys, live, run);
    for (uint32_t distance = run / 2; distance != 0; distance /= 2) exchange(keys, live / 2, run, distance);
  }
}

}  // namespace

extern "C" __global__ void __launch_bounds__(kBestThreads) best_of_chunk(const BestKernelArgs args) {
  __shared__ uint64_t keys[kBestChunk];
  const uint32_t row = blockIdx.y;
  for (uint32_t i = threadIdx.x; i < kBestChunk; i += kBestThreads)
    keys[i] = load_key(args, row, blockIdx.x * kBestChunk + i);
  __syncthreads();
  sort_best(keys, args.run);
  for (uint32_t i = threadIdx.x; i < args.count; i += kBestThreads) {
    if (args.best == nullptr)
      args.keys_out[(size_t{row} * gridDim.x + blockIdx.x) * args.count + i] = keys[i];
    else
      args.best[row * (size_t{args.count} + 1) + i] = {static_cast<uint32_t>(~keys[i]),
                                                       unordered(static_cast<uint32_t>(keys[i] >> 32))};
  }
}

extern "C" __global__ void __launch_bounds__(kTotalThreads) total_of_row(const TotalKernelArgs args) {
  __shared__ float scratch[kTotalThreads / 32];
  const float* values = args.values + size_t{blockIdx.x} * args.width;
  device::Candidate* best = args.best + blockIdx.x * (size_t{args.count} + 1);
  const float largest = best[0].value;
  float sum = 0;
  for (uint32_t i = threadIdx.x; i < args.width; i += kTotalThreads)
    sum += expf(comparable(values[i]) - largest) + broken(values[i]);
  sum = block_sum<kTotalThreads>(sum, scratch);
  if (threadIdx.x == 0) best[args.count] = {args.width, sum};
}

}  // namespace hearth::cuda
