// Adds up what attention kernels left of the splits of each row (kernels/splits.h), in their order.
#include "cuda/kernels/args.h"
#include "cuda/kernels/operand.cuh"
#include "cuda/kernels/splits.h"
#include "cuda/kernels/warp.cuh"

namespace hearth::cuda {
namespace {

constexpr float kNoScore = -1e30f;  // as the attention kernels write it

// One head's splits, added up in their order by a lane that has one of its values.
struct Merge {
  float highest = kNoScore, total = 0, sum = 0;

  // e^x of the highest score so far and of the split's, relative to the higher of both.
  struct Factors {
    float before, split;
  };
  __device__ Factors raise(float split_highest) {
    const float most = fmaxf(highest, split_highest);
    const Factors factors{expf(highest - most), expf(split_highest - most)};
    highest = most;
    return factors;
  }
  __device__ void add(const Factors& factors, float split_total, float split_sum) {
    total = fmaf(split_total, factors.split, __fmul_rn(total, factors.before));
    sum = fmaf(split_sum, factors.split, __fmul_rn(sum, factors.before));
  }
  // A sink is one more score, whose value is nothing.
  __device__ float result(const float* sink) const {
    return sum / (sink == nullptr ? total : total + expf(fminf(*sink - highest, 80)));
  }
};

// All lanes have values of one head: each works out the factors of one split of 32.
__device__ float merge_together(const float* values, uint32_t value_dim, const float* totals, uint32_t splits,
                                const float* sink) {
  Merge merge;
  for (uint32_t first = 0; first < splits; first += 32) {
    const uint32_t mine = first + lane_of_warp();
    const float highest = mine < splits ? totals[2 * mine] : kNoScore, total = mine < splits ? totals[2 * mine + 1] : 0;
    float most = highest;  // of the splits from `first` to this lane's
#pragma unroll
    for (uint32_t distance = 1; distance < 32; distance *= 2) {
      const float other = __shfl_up_sync(kAllLanes, most, distance);
      if (lane_of_warp() >= distance) most = fmaxf(most, other);
    }
    Merge at;
    const float previous = __shfl_up_sync(kAllLanes, most, 1);
    at.highest = lane_of_warp() == 0 ? merge.highest : fmaxf(merge.highest, previous);
    const Merge::Factors factors = at.raise(highest);
    const uint32_t count = min(32u, splits - first);
#pragma unroll 8
    for (uint32_t s = 0; s < count; ++s) {
      const Merge::Factors its{__shfl_sync(kAllLanes, factors.before, s), __shfl_sync(kAllLanes, factors.split, s)};
      merge.add(its, __shfl_sync(kAllLanes, total, s), values[size_t{first + s} * value_dim]);
    }
    merge.highest = __shfl_sync(kAllLanes, at.highest, 31);
  }
  return merge.result(sink);
}

__device__ float merge_alone(const float* values, uint32_t value_dim, const float* totals, uint32_t splits,
                             const float* sink) {
  Merge merge;
  for (uint32_t s = 0; s < splits; ++s)
    merge.add(merge.raise(totals[2 * s]), totals[2 * s + 1], values[size_t{s} * value_dim]);
  return merge.result(sink);
}

}  // namespace

// One warp per 32 adjacent values of a row of the result.
extern "C" __global__ void __launch_bounds__(kMergeThreads) attend_merge(const AttentionMergeArgs args) {
  const uint32_t block = (blockIdx.x * kMergeThreads + threadIdx.x) / 32, row = args.first_row + blockIdx.y;
  const uint32_t width = args.heads * args.value_dim;
  const bool chunks = args.which == AttentionRows::kChunks;
  if (block * 32 >= width || (chunks && args.step.sequences[args.step.row_sequence[row]].rows == 1)) return;
  const uint32_t position = args.step.positions[row], end = args.ahead != 0 ? args.step.ends[row] : position + 1;
  const uint32_t splits =
      chunks ? 1 : page_range_to(end, position, args.window, args.chunk_mask).splits(args.split_pages);
  const uint32_t i = block * 32 + lane_of_warp();
  const size_t at = (size_t{blockIdx.y} * args.heads + i / args.value_dim) * args.splits;
  const float* totals = args.partial + size_t{args.rows} * args.heads * args.splits * args.value_dim + 2 * at;
  const float* values = args.partial + at * args.value_dim + i % args.value_dim;
  const float* sink = args.sinks != nullptr && i < width ? args.sinks + i / args.value_dim : nullptr;
  float result = 0;
  if (args.value_dim % 32 == 0)
    result = merge_together(values, args.value_dim, totals, splits, sink);
  else if (i < width)
    result = merge_alone(values, args.value_dim, totals, splits, sink);
  if (args.values == nullptr)
    store_operand(args.out, row, block, result);
  else if (i < width)
    args.values[size_t{row} * width + i] = result;
}

}  // namespace hearth::cuda
