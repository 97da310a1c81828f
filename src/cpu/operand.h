// The forms in which the CPU's matmuls take activations.
//
// kFloat: `width` float32 values. kBlocks: one QuantBlock per 32 values (the last one padded with
// zeros). A row holds the blocks first, then the floats; each part starts at a multiple of 64 bytes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/checked.h"
#include "device/types.h"

namespace hearth::cpu {

inline constexpr device::OperandForms kFloat = 1, kBlocks = 2;

inline constexpr uint32_t kBlock = 32;

// 32 activations as q * scale, q in [-127, 127] (symmetric, round to nearest), with what the matmuls
// would otherwise compute again for every weight row: sums for weights with a minimum, and the start
// values that undo the +128 of signed weights where they are stored biased.
struct alignas(64) QuantBlock {
  float scale;
  float sum, sum_low, sum_high;       // scale * sum of q: all, first 16, last 16
  int32_t bias, bias_low, bias_high;  // -128 * sum of q
  int32_t unused;
  int8_t q[kBlock];
};
static_assert(sizeof(QuantBlock) == 64);

inline size_t blocks_bytes(uint32_t width) {
  return divide_up(width, kBlock) * sizeof(QuantBlock);
}
// Rows are apart by an odd multiple of 512 bytes: the same columns of the rows that are multiplied together would
// otherwise compete for the same few places of the first cache, since widths are multiples of large powers of two.
inline size_t operand_row_bytes(device::OperandForms forms, uint32_t width) {
  constexpr size_t kApart = 512;
  const size_t bytes =
      ((forms & kBlocks) ? blocks_bytes(width) : 0) + ((forms & kFloat) ? round_up(uint64_t{width} * 4, 64) : 0);
  return (round_up(bytes, kApart) / kApart | 1) * kApart;
}
inline QuantBlock* operand_blocks(const device::Operand& operand, uint32_t row) {
  return reinterpret_cast<QuantBlock*>(operand.data + row * operand_row_bytes(operand.forms, operand.width));
}
inline float* operand_floats(const device::Operand& operand, uint32_t row) {
  return reinterpret_cast<float*>(operand.data + row * operand_row_bytes(operand.forms, operand.width) +
                                  ((operand.forms & kBlocks) ? blocks_bytes(operand.width) : 0));
}

}  // namespace hearth::cpu
