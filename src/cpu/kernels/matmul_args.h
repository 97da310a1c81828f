// One matrix multiplication, as the kernels see it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hearth::cpu {

struct QuantBlock;

// out[i][row] += weight[row] . in[i] for i < count. The caller has set `out` to where the sum starts
// (zero, the bias, or the residual).
struct MatmulArgs {
  const uint8_t* weight = nullptr;  // row-major, in the kernel's format
  size_t row_bytes = 0;
  uint32_t interleaved_rows = 0;  // of the first rows (cpu/interleave.h); only kernels that take kBlocks
  uint32_t rows = 0, cols = 0;
  uint32_t count = 0;                         // activation rows
  const QuantBlock* const* blocks = nullptr;  // per activation row; for kernels that take kBlocks
  const float* const* floats = nullptr;       // per activation row; for kernels that take kFloat
  const float* packed = nullptr;              // `floats` as KernelTable::pack writes them, or null
  float* const* out = nullptr;                // per activation row: element `row` is written
};

// Rows of one work item; a kernel is called with [begin, end) where begin is a multiple of this.
inline constexpr uint32_t kPanelRows = 64;
// With few activation rows the weights' memory speed decides: smaller items balance better.
inline constexpr uint32_t kSmallPanelRows = 32;
inline constexpr uint32_t kSmallCount = 8;
// From so many activation rows on, packing floats costs less than it saves (measured: 90 to 130).
inline constexpr uint32_t kPackedCount = 96;

}  // namespace hearth::cpu
