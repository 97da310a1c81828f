// Which rows of a batch each attention kernel is launched on.
#include "cuda/attention_rows.h"

#include <gtest/gtest.h>

namespace hearth::cuda {
namespace {

device::Batch batch_of(const std::vector<uint32_t>& lengths) {
  device::Batch batch;
  uint32_t rows = 0;
  for (const uint32_t length : lengths) {
    batch.sequences.push_back({rows, length, 0, {}});
    rows += length;
  }
  return batch;
}

using Ranges = std::vector<RowRange>;

TEST(AttentionRows, SingleRowsThatLieTogetherAreOneRange) {
  EXPECT_EQ(single_rows(batch_of({1, 1, 1, 1, 512})), (Ranges{{0, 4}}));
  EXPECT_EQ(single_rows(batch_of({1, 2, 30, 1, 1, 10})), (Ranges{{0, 1}, {33, 2}}));
  EXPECT_EQ(single_rows(batch_of({7, 2})), Ranges{});
}

TEST(AttentionRows, RowsOfChunksAreOneRangeWithWhatLiesBetween) {
  EXPECT_EQ(chunk_rows(batch_of({1, 1, 1, 1, 512})), (RowRange{4, 512}));
  EXPECT_EQ(chunk_rows(batch_of({1, 2, 30, 1, 1, 10})), (RowRange{1, 44}));
  EXPECT_EQ(chunk_rows(batch_of({1, 1})), RowRange{});
}

TEST(AttentionRows, ARangeHasTheTilesThatHaveARowInIt) {
  const device::Batch batch = batch_of({1, 20, 1, 40});  // tiles of 16: rows 1-16, 17-20; 22-37, 38-53, 54-61
  EXPECT_EQ(chunk_tiles(batch, chunk_rows(batch), 16), (ChunkTiles{0, 5}));
  EXPECT_EQ(chunk_tiles(batch, {1, 16}, 16), (ChunkTiles{0, 1}));
  EXPECT_EQ(chunk_tiles(batch, {16, 2}, 16), (ChunkTiles{0, 2}));
  EXPECT_EQ(chunk_tiles(batch, {17, 6}, 16), (ChunkTiles{1, 2}));
  EXPECT_EQ(chunk_tiles(batch, {54, 8}, 16), (ChunkTiles{4, 1}));
}

}  // namespace
}  // namespace hearth::cuda
