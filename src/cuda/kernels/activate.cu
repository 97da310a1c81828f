// The functions between the two halves of a feed-forward layer, and the soft cap of logits.
#include "cuda/kernels/activation.cuh"
#include "cuda/kernels/args.h"
#include "cuda/kernels/broken.cuh"
#include "cuda/kernels/operand.cuh"
#include "cuda/kernels/warp.cuh"

namespace hearth::cuda {

extern "C" __global__ void __launch_bounds__(kActivateThreads) activate(const ActivateKernelArgs args) {
  const uint32_t block = (blockIdx.x * kActivateThreads + threadIdx.x) / 32, row = blockIdx.y;
  if (block * 32 >= args.width) return;  // the whole warp
  const uint32_t i = block * 32 + lane_of_warp();
  float value = 0;
  if (i < args.width) {
    const size_t at = size_t{row} * args.stride + i;
    value = activated(args.way, args.gate[at]);
    if (args.up != nullptr) value *= args.up[at];
  }
  store_operand(args.out, row, block, value);
}

extern "C" __global__ void __launch_bounds__(kActivateThreads) soft_cap(const SoftCapKernelArgs args) {
  const uint64_t i = uint64_t{blockIdx.x} * kActivateThreads + threadIdx.x;
  if (i >= args.count) return;
  float& x = args.values[i];
  x = soft_capped(x, args.cap) + broken(x);
}

}  // namespace hearth::cuda
