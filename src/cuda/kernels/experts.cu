// Mixture of experts, without its matrix products: which experts a row uses, rows grouped by expert, and the
// weighted sum of what the experts gave. A slot is one use of an expert by a row: row * used + i.
#include "cuda/kernels/args.h"
#include "cuda/kernels/broken.cuh"
#include "cuda/kernels/warp.cuh"

namespace hearth::cuda {
namespace {

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

// Softmax over the router's output and the `used` best experts, best first. One warp per row; its weights in
// shared memory, a chosen one marked by -1. If an output of the router is not finite no weight is a number.
extern "C" __global__ void __launch_bounds__(kRouteThreads) route(const RouteKernelArgs args) {
  extern __shared__ float all_weights[];
  const uint32_t row = blockIdx.x * (kRouteThreads / 32) + threadIdx.x / 32;
  if (row >= args.rows) return;
  float* weights = all_weights + threadIdx.x / 32 * args.experts;
  const float* logits = args.logits + size_t{row} * args.experts;
  float most = -INFINITY, total = 0;
  for (uint32_t e = lane_of_warp(); e < args.experts; e += 32) most = fmaxf(most, logits[e]);
  most = warp_max(most);
  for (uint32_t e = lane_of_warp(); e < args.experts; e += 32) {
    const float weight = expf(logits[e] - most) + broken(logits[e]);
    weights[e] = weight >= 0 ? weight : 0;  // NaN: the order must stay an order
    total += weight;
  }
  total = warp_sum(total);
  __syncwarp();
  float chosen_total = 0;
  for (uint32_t i = 0; i < args.used; ++i) {
    Best best{-2, 0xffffffff};
    for (uint32_t e = lane_of_warp(); e < args.experts; e += 32) best = better(best, {weights[e], e});
    best = warp_best(best);
    chosen_total += best.weight;
    __syncwarp();
    if (lane_of_warp() == 0) {
      weights[best.expert] = -1;
      args.expert[size_t{row} * args.used + i] = best.expert;
      args.weight[size_t{row} * args.used + i] = best.weight;
    }
    __syncwarp();
  }
  const float factor = args.scale / (args.normalise != 0 ? chosen_total : total) + broken(total);
  for (uint32_t i = lane_of_warp(); i < args.used; i += 32) args.weight[size_t{row} * args.used + i] *= factor;
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

// out += sum of weight * values over a row's slots, in the order of choice.
extern "C" __global__ void __launch_bounds__(kCombineThreads) combine_experts(const CombineKernelArgs args) {
  const uint32_t i = blockIdx.x * kCombineThreads + threadIdx.x, row = blockIdx.y;
  if (i >= args.width) return;
  float sum = args.out[size_t{row} * args.width + i];
  for (uint32_t u = 0; u < args.used; ++u) {
    const size_t slot = size_t{row} * args.used + u;
    sum = fmaf(args.weight[slot], args.values[slot * args.width + i], sum);
  }
  args.out[size_t{row} * args.width + i] = sum;
}

}  // namespace hearth::cuda
