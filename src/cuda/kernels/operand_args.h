// Activations as the matmul kernels take them: the layout of device::Operand on the GPU.
//
// A row holds up to three forms, one after the other, each from a multiple of 16 bytes on. All are padded with
// zeros to whole groups of 64 columns:
//
// kInt8Form: 32 columns are q * scale, q in [-127, 127] (symmetric, to nearest).
//   codes    1 byte per column, in an order that gives a lane of a matrix instruction its 16 columns of a group
//            of 64 in one load: column c of the group is byte 16 (c % 16 / 4) + 8 (c / 32) + 4 (c % 32 / 16) + c % 4
//   scales   per 32 columns two floats: scale, scale * (sum of q)
//   halves   per 32 columns one float: scale * (sum of the first 16 q)
// kHalfForm: 32 columns are (high + low) * scale, scale a power of two: together as good as float32.
//   numbers  per 32 columns 32 halves high, then 32 halves low
//   scales   per 32 columns one float
// kFloatForm: float32.
#pragma once

#include <cstdint>

#ifndef __CUDACC__
#define HEARTH_BOTH constexpr
#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"
#else
#define HEARTH_BOTH __host__ __device__ constexpr
#endif

namespace hearth::cuda {

// Bits of device::OperandForms.
inline constexpr uint32_t kInt8Form = 1, kHalfForm = 2, kFloatForm = 4;

inline constexpr uint32_t kOperandBlock = 32;  // columns that share a scale
inline constexpr uint32_t kOperandGroup = 64;  // columns that rows are padded to

struct OperandRows {
  uint8_t* data;  // at a multiple of 16 bytes
  uint32_t width;
  uint32_t forms;
};

HEARTH_BOTH uint32_t padded_width(uint32_t width) {
  return (width + kOperandGroup - 1) / kOperandGroup * kOperandGroup;
}
HEARTH_BOTH uint32_t whole_units(uint32_t bytes) {
  return (bytes + 15) / 16 * 16;
}

// Byte offsets in a row.
HEARTH_BOTH uint32_t int8_scales_at(uint32_t width) {
  return padded_width(width);
}
HEARTH_BOTH uint32_t int8_halves_at(uint32_t width) {
  return int8_scales_at(width) + padded_width(width) / kOperandBlock * 8;
}
HEARTH_BOTH uint32_t int8_bytes(uint32_t width) {
  return whole_units(int8_halves_at(width) + padded_width(width) / kOperandBlock * 4);
}
HEARTH_BOTH uint32_t half_at(uint32_t width, uint32_t forms) {
  return (forms & kInt8Form) != 0 ? int8_bytes(width) : 0;
}
HEARTH_BOTH uint32_t half_scales_at(uint32_t width, uint32_t forms) {
  return half_at(width, forms) + padded_width(width) * 4;
}
HEARTH_BOTH uint32_t half_bytes(uint32_t width) {
  return padded_width(width) * 4 + whole_units(padded_width(width) / kOperandBlock * 4);
}
HEARTH_BOTH uint32_t float_at(uint32_t width, uint32_t forms) {
  return half_at(width, forms) + ((forms & kHalfForm) != 0 ? half_bytes(width) : 0);
}
HEARTH_BOTH uint32_t operand_row_bytes(uint32_t width, uint32_t forms) {
  return float_at(width, forms) + ((forms & kFloatForm) != 0 ? padded_width(width) * 4 : 0);
}
// Where column `c` of a group of 64 is among its codes.
HEARTH_BOTH uint32_t code_position(uint32_t c) {
  return 16 * (c % 16 / 4) + 8 * (c / 32) + 4 * (c % 32 / 16) + c % 4;
}

}  // namespace hearth::cuda

#ifndef __CUDACC__
#pragma GCC diagnostic pop
#endif
#undef HEARTH_BOTH
