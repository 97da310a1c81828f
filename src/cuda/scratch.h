// How much memory ops need between their launches. Steps that would need more than kMostScratch run in pieces:
// rows are independent.
#pragma once

#include "device/device.h"

namespace hearth::cuda {

inline constexpr uint64_t kLeastScratch_bytes = 8 << 20, kMostScratch_bytes = 64 << 20;

// Partial results of attention for one row: sums, and their highest score and weight.
constexpr uint64_t partial_bytes(uint32_t heads, uint32_t value_dim, uint32_t splits) {
  return uint64_t{heads} * splits * (value_dim + 2) * sizeof(float);
}

// Where experts keep what: bytes from the start of the scratch memory for a piece of `rows` rows.
struct ExpertScratch {
  uint64_t logits, expert, weight, offsets, slots, gate_up, hidden, down, end;

  // `hidden_bytes`: of one row of the operand between the two halves.
  ExpertScratch(uint64_t rows, uint32_t experts, uint32_t used, uint32_t inner, uint32_t width, uint64_t hidden_bytes);
  // The most rows of a piece that fits in `bytes`; 0 if none does.
  static uint32_t rows_in(uint64_t bytes, uint32_t experts, uint32_t used, uint32_t inner, uint32_t width,
                          uint64_t hidden_bytes);
};

// Where the lists of rows by head begin.
struct HeadScratch {
  uint64_t slots, end;
  HeadScratch(uint64_t rows, uint32_t heads);
};

// What steps up to this shape need.
uint64_t scratch_need(const device::StepShape& most);

}  // namespace hearth::cuda
