#include "cpu/interleave.h"

#include <cstring>

namespace hearth::cpu {

const uint8_t* plain_row(const device::Matrix& matrix, uint32_t row, uint8_t* scratch) {
  const size_t row_bytes = matrix.row_bytes();
  if (row >= interleaved_rows(matrix)) return matrix.data + row * row_bytes;
  const BlockLayout block{matrix.format->block_values, matrix.format->block_bytes};
  const uint32_t lane = row % kInterleavedRows;
  const uint8_t* from = matrix.data + (row - lane) * row_bytes;
  uint8_t* to = scratch;
  for (; to < scratch + row_bytes; to += block.block_bytes, from += size_t{kInterleavedRows} * block.block_bytes) {
    for (uint32_t w = 0; w < block.words(); ++w)
      std::memcpy(to + block.first_word_offset() + 4 * w, from + block.word_at(w, lane), 4);
    std::memcpy(to + block.odd_offset(), from + block.odd_at(lane), block.odd());
  }
  return scratch;
}

}  // namespace hearth::cpu
