// RMS and layer norm of one row per block, written to an operand, to an array, or added to an array.
#include "cuda/kernels/args.h"
#include "cuda/kernels/broken.cuh"
#include "cuda/kernels/operand.cuh"
#include "cuda/kernels/warp.cuh"

namespace hearth::cuda {
namespace {

__device__ float mean_of(const float* in, uint32_t width, float* scratch) {
  float sum = 0;
  for (uint32_t i = threadIdx.x; i < width; i += kNormThreads) sum += in[i];
  return block_sum<kNormThreads>(sum, scratch) / static_cast<float>(width);
}

__device__ float mean_square_of(const float* in, float mean, uint32_t width, float* scratch) {
  float sum = 0;
  for (uint32_t i = threadIdx.x; i < width; i += kNormThreads) {
    const float x = in[i] - mean;
    sum += x * x;
  }
  return block_sum<kNormThreads>(sum, scratch) / static_cast<float>(width);
}

}  // namespace

extern "C" __global__ void __launch_bounds__(kNormThreads) norm_rows(const NormKernelArgs args) {
  __shared__ float mean_scratch[kNormThreads / 32], square_scratch[kNormThreads / 32], like_scratch[kNormThreads / 32];
  const uint32_t row = blockIdx.x / args.pieces, piece = blockIdx.x % args.pieces, width = args.width;
  const float* in = args.in + size_t{args.rows != nullptr ? args.rows[row] : row} * args.in_row + piece * args.in_piece;
  const bool above = args.way == NormWay::kAboveMean;
  float mean = 0, scale = 1, lost = 0;
  if (args.way != NormWay::kNone) {
    if (args.way == NormWay::kLayer || above) mean = mean_of(in, width, mean_scratch);
    const float mean_square = mean_square_of(in, mean, width, square_scratch);
    lost = broken(mean_square);
    if (above)
      mean += args.deviations * sqrtf(mean_square * (static_cast<float>(width) / static_cast<float>(width - 1)));
    else
      scale = 1 / sqrtf(mean_square + args.epsilon) + lost;
    if (args.way == NormWay::kLike)
      scale *= sqrtf(mean_square_of(args.like + size_t{row} * width, 0, width, like_scratch));
  }
  // Whole warps: a warp writes 32 adjacent values of the operand together.
  for (uint32_t first = threadIdx.x / 32 * 32; first < width; first += kNormThreads) {
    const uint32_t i = first + lane_of_warp();
    float value = 0;
    if (i < width) {
      value = (in[i] - mean) * scale;
      if (above) value = fmaxf(value, 0) + lost;
      if (args.weight != nullptr) value *= args.weight[args.own_weights != 0 ? piece * width + i : i];
      if (args.bias != nullptr) value += args.bias[i];
      value *= args.factor;
    }
    if (args.operand.data != nullptr) store_operand(args.operand, blockIdx.x, first / 32, value);
    if (args.out == nullptr || i >= width) continue;
    float& out = args.out[size_t{row} * args.out_row + piece * args.out_piece + i];
    out = args.add != 0 ? out + value : value;
  }
}

}  // namespace hearth::cuda
