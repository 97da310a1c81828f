// Which rows of a batch go to which attention kernel: those that are alone in their sequence's part of the batch
// (generation) have a kernel of their own. A launch covers adjacent rows, so that no kernel runs on rows that are not
// its own.
#pragma once

#include <cstdint>
#include <vector>

#include "device/types.h"

namespace hearth::cuda {

struct RowRange {
  uint32_t first = 0, rows = 0;
  bool operator==(const RowRange&) const = default;
};

// Adjacent rows that are alone in their sequences, as few ranges as there can be. Sequences are in the order of their
// rows.
std::vector<RowRange> single_rows(const device::Batch& batch);

// From the first to the last row of sequences with several rows; single ones may lie between them.
RowRange chunk_rows(const device::Batch& batch);

// Tiles of at most `tile_tokens` rows of one sequence with several rows, numbered through in the order of the
// sequences: those with a row in `range`.
struct ChunkTiles {
  uint32_t first = 0, count = 0;
  bool operator==(const ChunkTiles&) const = default;
};
ChunkTiles chunk_tiles(const device::Batch& batch, RowRange range, uint32_t tile_tokens);

}  // namespace hearth::cuda
