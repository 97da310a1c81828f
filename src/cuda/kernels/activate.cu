// The functions between the two halves of a feed-forward layer, and the soft cap of logits.
#include "cuda/kernels/activation.cuh"
#include "cuda/kernels/args.h"
#include "cuda/kernels/broken.cuh"
#include "cuda/kernels/operand.cuh"
#include "cuda/kernels/warp.cuh"

namespace hearth::cuda {

namespace {

// Adds biases, and multiplies by the weight of what the expert reads.
__device__ void of_expert(const ActivateKernelArgs& args, uint32_t slot, uint32_t i, float& gate, float& up) {
  const uint32_t expert = args.expert[slot];
  if (args.gate_bias != nullptr) gate += args.gate_bias[size_t{expert} * args.width + i];
  if (args.up_bias != nullptr && args.up != nullptr) up += args.up_bias[size_t{expert} * args.width + i];
  if (args.row_weight == nullptr) return;
  gate *= args.row_weight[slot];
  if (args.up != nullptr) up *= args.row_weight[slot];
}

}  // namespace

extern "C" __global__ void __launch_bounds__(kActivateThreads) activate(const ActivateKernelArgs args) {
  const uint32_t block = (blockIdx.x * kActivateThreads + threadIdx.x) / 32, row = blockIdx.y;
  if (block * 32 >= args.width) return;  // the whole warp
  const uint32_t i = block * 32 + lane_of_warp();
  float value = 0;
  if (i < args.width) {
    const size_t at = size_t{row} * args.stride + i;
    float gate = args.gate[at], up = args.up != nullptr ? args.up[size_t{row} * args.up_stride + i] : 1;
    if (args.expert != nullptr) of_expert(args, row, i, gate, up);
    if (args.way == ActivationWay::kClampedSwish)
      value = clamped_swish(gate, up);
    else
      value = activated(args.way, gate) * up;
    if (args.row_gate != nullptr) value /= 1 + expf(-args.row_gate[row]) + broken(args.row_gate[row]);
  }
  if (args.values == nullptr)
    store_operand(args.out, row, block, value);
  else if (block * 32 + lane_of_warp() < args.width)
    args.values[size_t{row} * args.width + block * 32 + lane_of_warp()] = value;
}

extern "C" __global__ void __launch_bounds__(kActivateThreads) soft_cap(const SoftCapKernelArgs args) {
  const uint64_t i = uint64_t{blockIdx.x} * kActivateThreads + threadIdx.x;
  if (i >= args.count) return;
  float& x = args.values[i];
  x = soft_capped(x, args.cap) + broken(x);
}

extern "C" __global__ void __launch_bounds__(kActivateThreads) clamp(const SoftCapKernelArgs args) {
  const uint64_t i = uint64_t{blockIdx.x} * kActivateThreads + threadIdx.x;
  if (i >= args.count) return;
  float& x = args.values[i];
  x = fminf(fmaxf(x, args.least), args.most) + broken(x);
}

}  // namespace hearth::cuda
