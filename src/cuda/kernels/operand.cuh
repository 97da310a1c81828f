// Writing operands: what every op that makes activations ends with. A block with a value that is not finite has a
// scale or values that are none, in every form.
#pragma once

#include "cuda/kernels/broken.cuh"
#include "cuda/kernels/numbers.cuh"
#include "cuda/kernels/operand_args.h"
#include "cuda/kernels/warp.cuh"

namespace hearth::cuda {

// The scale of a block in kHalfForm: a power of two that brings its largest value to [0.5, 1) (1 if all are
// zero; the exponents of the smallest and largest floats are cut, which costs no more than their last bits).
__device__ inline float half_form_scale(float largest) {
  const uint32_t exponent = __float_as_uint(largest) >> 23;
  return largest == 0 ? 1 : __uint_as_float(min(max(exponent + 1, 24u), 230u) << 23);
}

// 1 / a power of two from half_form_scale(), exactly.
__device__ inline float inverse_power(float power) {
  return __uint_as_float((254u << 23) - __float_as_uint(power));
}

__device__ inline void store_int8(uint8_t* row, uint32_t width, uint32_t block, float value, float largest) {
  const uint32_t lane = lane_of_warp();
  const float scale = largest / 127;
  const int code = largest > 0 ? max(-127, min(127, __float2int_rn(value * (127 / largest)))) : 0;
  int half_sum = code;
#pragma unroll
  for (uint32_t distance = 8; distance != 0; distance /= 2) half_sum += __shfl_xor_sync(kAllLanes, half_sum, distance);
  const int other = __shfl_xor_sync(kAllLanes, half_sum, 16);
  row[block / 2 * kOperandGroup + code_position(block % 2 * 32 + lane)] = static_cast<uint8_t>(code);
  if (lane != 0) return;
  reinterpret_cast<float2*>(row + int8_scales_at(width))[block] = {scale, scale * static_cast<float>(half_sum + other)};
  reinterpret_cast<float*>(row + int8_halves_at(width))[block] = scale * static_cast<float>(half_sum);
}

__device__ inline void store_halves(uint8_t* row, const OperandRows& to, uint32_t block, float value, float largest) {
  const float scale = half_form_scale(largest), small = value * inverse_power(scale);
  const Half high = float_to_half(small);
  Half* numbers = reinterpret_cast<Half*>(row + half_at(to.width, to.forms)) + block * 64 + lane_of_warp();
  numbers[0] = high;
  numbers[32] = float_to_half(small - half_to_float(high));
  if (lane_of_warp() == 0) reinterpret_cast<float*>(row + half_scales_at(to.width, to.forms))[block] = scale;
}

__device__ inline void store_block(const OperandRows& to, uint8_t* row, uint32_t block, float value) {
  const float largest = warp_largest(value);
  if ((to.forms & kInt8Form) != 0) store_int8(row, to.width, block, value, largest);
  if ((to.forms & kHalfForm) != 0) store_halves(row, to, block, value, largest);
  if ((to.forms & kFloatForm) != 0)
    reinterpret_cast<float*>(row + float_at(to.width, to.forms))[block * 32 + lane_of_warp()] = value;
}

// A whole warp writes columns 32 block .. 32 block + 31 of a row, in all forms: lane i gives column 32 block + i,
// 0 if that is beyond the width. Who writes the last block writes the padding as well.
__device__ inline void store_operand(const OperandRows& to, uint32_t row, uint32_t block, float value) {
  uint8_t* at = to.data + size_t{row} * operand_row_bytes(to.width, to.forms);
  store_block(to, at, block, value);
  if (block % 2 == 0 && (block + 1) * kOperandBlock >= to.width) store_block(to, at, block + 1, 0);
}

}  // namespace hearth::cuda
