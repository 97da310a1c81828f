// How attention is cut into parts: they cover what the row sees, at places that nothing but the position decides.
#include "cuda/kernels/splits.h"

#include <gtest/gtest.h>

namespace hearth::cuda {
namespace {

TEST(PageRange, CoversFromTheOldestVisiblePositionToTheRowsOwn) {
  for (const uint32_t window : {0u, 1u, 31u, 32u, 33u, 1000u}) {
    for (const uint32_t position : {0u, 1u, 31u, 32u, 500u, 4095u, 131071u}) {
      const PageRange range = page_range(position, window, 0);
      const uint32_t oldest = window == 0 || position < window ? 0 : position - window + 1;
      EXPECT_EQ(range.oldest, oldest);
      EXPECT_LE(range.first_page * kPagePositions, oldest);
      EXPECT_GT((range.first_page + 1) * kPagePositions, oldest);
      EXPECT_EQ(range.last_page, position / kPagePositions);
    }
  }
}

TEST(PageRange, AChunkBeginsAtAMultipleOfItsSize) {
  for (const uint32_t chunk : {1u, 16u, 64u, 8192u})
    for (const uint32_t position : {0u, 15u, 16u, 63u, 64u, 8191u, 8192u, 20000u}) {
      const PageRange range = page_range(position, 0, ~(chunk - 1));
      EXPECT_EQ(range.oldest, position / chunk * chunk);
      EXPECT_EQ(range.first_page, range.oldest / kPagePositions);
    }
}

TEST(PageRange, SplitsBeginAtTheSamePagesForEveryRow) {
  for (const uint32_t pages : {2u, 4u})
    for (const uint32_t window : {0u, 100u, 128u})
      for (uint32_t position = 0; position < 3000; ++position) {
        const PageRange range = page_range(position, window, 0);
        EXPECT_LE(range.first_split(pages) * pages, range.first_page);
        EXPECT_GT((range.first_split(pages) + 1) * pages, range.first_page);
        const uint32_t last = range.first_split(pages) + range.splits(pages) - 1;
        EXPECT_EQ(last, range.last_page / pages);
      }
}

TEST(SplitPages, AreFewerForLargeHeads) {
  EXPECT_EQ(split_pages(128, 64), 4u);
  EXPECT_EQ(split_pages(64, 192), 2u);
}

}  // namespace
}  // namespace hearth::cuda
