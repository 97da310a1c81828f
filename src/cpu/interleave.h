// How the CPU keeps quantised weights that it has a copy of: 16 rows together, so that a vector of rows is read with
// one load from one place, instead of shuffling what lies in 16. A matrix takes the same bytes as before; a group of 16
// rows lies where these rows lay, and rows after the last whole group stay as they were.
#pragma once

#include <cstddef>
#include <cstdint>

#include "device/types.h"

namespace hearth::cpu {

inline constexpr uint32_t kInterleavedRows = 16;
static_assert(device::kUpload_rows % kInterleavedRows == 0);  // so that pieces of a matrix are laid as the whole is

// A block of a format is 4-byte words and, if its size is odd, a half or a byte: at the front of small blocks (the
// scale of 32 values), else at the end. A group has, for every block in turn, word 0 of all rows, word 1 of all rows
// and so on, then their odd parts.
struct BlockLayout {
  uint32_t block_values, block_bytes;

  constexpr uint32_t words() const { return block_bytes / 4; }
  constexpr uint32_t odd() const { return block_bytes % 4; }  // bytes
  constexpr uint32_t odd_offset() const { return block_values == 32 ? 0 : 4 * words(); }
  constexpr uint32_t first_word_offset() const { return odd_offset() == 0 ? odd() : 0; }

  // Where the group has word `word`, or the odd part, of a block that begins at 0.
  constexpr uint32_t word_at(uint32_t word, uint32_t row) const { return (word * kInterleavedRows + row) * 4; }
  constexpr uint32_t odd_at(uint32_t row) const { return words() * kInterleavedRows * 4 + row * odd(); }
};

inline uint32_t interleaved_rows(const device::Matrix& matrix) {
  return matrix.interleaved ? matrix.rows / kInterleavedRows * kInterleavedRows : 0;
}

// Row `row` of a matrix as its format has it: where it lies, or put together in `scratch` (row_bytes() bytes).
const uint8_t* plain_row(const device::Matrix& matrix, uint32_t row, uint8_t* scratch);

}  // namespace hearth::cpu
