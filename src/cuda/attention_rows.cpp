#include "cuda/attention_rows.h"

#include <algorithm>

#include "base/checked.h"

namespace hearth::cuda {

std::vector<RowRange> single_rows(const device::Batch& batch) {
  std::vector<RowRange> ranges;
  for (const device::BatchSequence& sequence : batch.sequences) {
    if (sequence.rows != 1) continue;
    if (ranges.empty() || ranges.back().first + ranges.back().rows != sequence.first_row)
      ranges.push_back({sequence.first_row, 0});
    ++ranges.back().rows;
  }
  return ranges;
}

RowRange chunk_rows(const device::Batch& batch) {
  RowRange range;
  for (const device::BatchSequence& sequence : batch.sequences) {
    if (sequence.rows <= 1) continue;
    if (range.rows == 0) range.first = sequence.first_row;
    range.rows = sequence.first_row + sequence.rows - range.first;
  }
  return range;
}

ChunkTiles chunk_tiles(const device::Batch& batch, RowRange range, uint32_t tile_tokens) {
  ChunkTiles found;
  uint32_t before = 0;  // tiles of the sequences so far
  for (const device::BatchSequence& sequence : batch.sequences) {
    if (sequence.rows <= 1) continue;
    const uint32_t begin = std::max(range.first, sequence.first_row);
    const uint32_t end = std::min(range.first + range.rows, sequence.first_row + sequence.rows);
    if (begin < end) {
      const uint32_t first = before + (begin - sequence.first_row) / tile_tokens;
      if (found.count == 0) found.first = first;
      found.count = before + static_cast<uint32_t>(divide_up(end - sequence.first_row, tile_tokens)) - found.first;
    }
    before += static_cast<uint32_t>(divide_up(sequence.rows, tile_tokens));
  }
  return found;
}

}  // namespace hearth::cuda
