// Mixture of experts, without its matrix products: which experts a row uses, rows grouped by expert, and the
// weighted sum of what the experts gave. A slot is one use of an expert by a row: row * used + i.
#include "cuda/kernels/args.h"
#include "cuda/kernels/broken.cuh"
#include "cuda/kernels/warp.cuh"

namespace hearth::cuda {
namespace {

constexpr float kLargest = 3.402823466e38f;

struct Best {
  float weight;
  uint32_t expert;
};

// The heavier one; of equals the lower.
__device__ Best better(Best a, Best b) {
  return a.weight > b.weight || (a.weight == b.weight && a.expert < b.expert) ? a : b;
}

__device__ Best warp_best(Best best) {
#pragma unroll
  for (uint32_t distance = 16; distance != 0; distance /= 2)
    best = better(
        best, {__shfl_xor_sync(kAllLanes, best.weight, distance), __shfl_xor_sync(kAllLanes, best.expert, distance)});
  return best;
}

}  // namespace

namespace {

__device__ float logit_of(const RouteKernelArgs& args, const float* logits, uint32_t expert) {
  return args.bias == nullptr ? logits[expert] : logits[expert] + args.bias[expert];
}

// The share of one expert, but for what all of softmax are divided by. `most`: the largest output.
__device__ float share_of(const RouteKernelArgs& args, float logit, float most) {
  return args.sigmoid != 0 ? 1 / (1 + expf(-logit)) : expf(logit - most);
}

__device__ Best best_of(const float* scores, uint32_t count) {
  Best best{-INFINITY, 0xffffffff};
  for (uint32_t i = lane_of_warp(); i < count; i += 32) best = better(best, {scores[i], i});
  return warp_best(best);
}

// Takes away the experts that are not in the groups whose two best scores sum to most. `sums`: room for the groups.
__device__ void keep_groups(const RouteKernelArgs& args, float* scores, float* sums) {
  constexpr float kKept = INFINITY;
  const uint32_t size = args.experts / args.groups;
  for (uint32_t g = lane_of_warp(); g < args.groups; g += 32) {
    float best = -INFINITY, second = size > 1 ? -INFINITY : 0;
    for (uint32_t e = g * size; e < (g + 1) * size; ++e) {
      const float score = scores[e];
      if (score > best) {
        if (size > 1) second = best;
        best = score;
      } else if (size > 1) {
        second = fmaxf(second, score);
      }
    }
    sums[g] = best + second;
  }
  __syncwarp();
  for (uint32_t kept = 0; kept < args.groups_used; ++kept) {
    Best best{-INFINITY, 0xffffffff};
    for (uint32_t g = lane_of_warp(); g < args.groups; g += 32)
      if (sums[g] != kKept) best = better(best, {sums[g], g});
    best = warp_best(best);
    __syncwarp();
    if (lane_of_warp() == 0) sums[best.expert] = kKept;
    __syncwarp();
  }
  for (uint32_t e = lane_of_warp(); e < args.experts; e += 32)
    if (sums[e / size] != kKept) scores[e] = -INFINITY;
  __syncwarp();
}

}  // namespace

// The `used` best experts of a row by their shares, best first. One warp per row; its scores, and those of its groups,
// in shared memory, a chosen one marked by -infinity. If an output of the router is not finite no weight is a number.
extern "C" __global__ void __launch_bounds__(kRouteThreads) route(const RouteKernelArgs args) {
  extern __shared__ float all_scores[];
  const uint32_t row = blockIdx.x * (kRouteThreads / 32) + threadIdx.x / 32;
  if (row >= args.rows) return;
  float* scores = all_scores + threadIdx.x / 32 * (args.experts + args.groups);
  const float* logits = args.logits + size_t{row} * args.experts;
  // Large outputs have equal sigmoids, but are not equal.
  const bool by_output = args.sigmoid != 0 && args.choice_bias == nullptr && args.groups == 1;
  float most = -INFINITY, total = 0, not_finite = 0;
  for (uint32_t e = lane_of_warp(); e < args.experts; e += 32) most = fmaxf(most, logit_of(args, logits, e));
  most = warp_max(most);
  for (uint32_t e = lane_of_warp(); e < args.experts; e += 32) {
    const float logit = logit_of(args, logits, e), share = share_of(args, logit, most);
    total += share;
    not_finite += broken(logit);
    scores[e] = by_output ? logit : share;
  }
  total = args.sigmoid != 0 ? 1 : warp_sum(total);
  not_finite = warp_sum(not_finite);
  for (uint32_t e = lane_of_warp(); e < args.experts; e += 32) {
    float score = scores[e];
    if (args.choice_bias != nullptr) score = score / total + args.choice_bias[e];
    scores[e] = fminf(fmaxf(score, -kLargest), kLargest);  // NaN: the order must stay an order
  }
  __syncwarp();
  if (args.groups > 1) keep_groups(args, scores, scores + args.experts);
  float chosen_total = 0;
  for (uint32_t i = 0; i < args.used; ++i) {
    const Best best = best_of(scores, args.experts);
    const float share = share_of(args, logit_of(args, logits, best.expert), most);
    chosen_total += share;
    __syncwarp();
    if (lane_of_warp() == 0) {
      scores[best.expert] = -INFINITY;
      args.expert[size_t{row} * args.used + i] = best.expert;
      args.weight[size_t{row} * args.used + i] = share;
    }
    __syncwarp();
  }
  const float factor = args.scale / (args.normalise != 0 ? chosen_total : total) + not_finite;
  for (uint32_t i = lane_of_warp(); i < args.used; i += 32) {
    const size_t slot = size_t{row} * args.used + i;
    args.weight[slot] *= args.result_scale != nullptr ? factor * args.result_scale[args.expert[slot]] : factor;
  }
}

// One block. Every warp takes every 32nd expert and looks at all slots: twice, to count and to place.
extern "C" __global__ void __launch_bounds__(kGroupThreads) group_slots(const GroupKernelArgs args) {
  extern __shared__ uint32_t begins[];
  const uint32_t warp = threadIdx.x / 32, lane = lane_of_warp();
  for (uint32_t e = warp; e < args.experts; e += kGroupThreads / 32) {
    uint32_t count = 0;
    for (uint32_t first = 0; first < args.slot_count; first += 32) {
      const bool mine = first + lane < args.slot_count && args.expert[first + lane] == e;
      count += __popc(__ballot_sync(kAllLanes, mine));
    }
    if (lane == 0) begins[e] = count;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    uint32_t sum = 0;
    for (uint32_t e = 0; e < args.experts; ++e) {
      const uint32_t count = begins[e];
      args.offsets[e] = begins[e] = sum;
      sum += count;
    }
    args.offsets[args.experts] = sum;
  }
  __syncthreads();
  for (uint32_t e = warp; e < args.experts; e += kGroupThreads / 32) {
    uint32_t at = begins[e];
    for (uint32_t first = 0; first < args.slot_count; first += 32) {
      const bool mine = first + lane < args.slot_count && args.expert[first + lane] == e;
      const uint32_t all = __ballot_sync(kAllLanes, mine);
      if (mine) args.slots[at + __popc(all & ((1u << lane) - 1))] = first + lane;
      at += __popc(all);
    }
  }
}

extern "C" __global__ void __launch_bounds__(kGroupThreads) head_slots(const HeadSlotsKernelArgs args) {
  const uint32_t i = blockIdx.x * kGroupThreads + threadIdx.x;
  if (i <= args.heads) args.offsets[i] = i * args.rows;
  if (i < args.heads * args.rows) args.slots[i] = i % args.rows * args.heads + i / args.rows;
}

// out, or 0, and the sum of weight * (values + bias) over a row's slots, in the order of choice.
extern "C" __global__ void __launch_bounds__(kCombineThreads) combine_experts(const CombineKernelArgs args) {
  const uint32_t i = blockIdx.x * kCombineThreads + threadIdx.x, row = blockIdx.y;
  if (i >= args.width) return;
  float& out = args.out[size_t{row} * args.width + i];
  float sum = args.add != 0 ? out : 0;
  for (uint32_t u = 0; u < args.used; ++u) {
    const size_t slot = size_t{row} * args.used + u;
    float value = args.values[slot * args.width + i];
    if (args.bias != nullptr) value += args.bias[size_t{args.expert[slot]} * args.width + i];
    sum = fmaf(args.weight != nullptr ? args.weight[slot] : 1, value, sum);
  }
  out = sum;
}

}  // namespace hearth::cuda
