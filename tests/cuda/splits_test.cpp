// How attention is cut into parts: they cover what the row sees, and nothing else decides about them.
#include "cuda/kernels/splits.h"

#include <gtest/gtest.h>

namespace hearth::cuda {
namespace {

constexpr uint32_t kPage = 32;

TEST(PageRange, CoversFromTheOldestVisiblePositionToTheRowsOwn) {
  for (const uint32_t window : {0u, 1u, 31u, 32u, 33u, 1000u}) {
    for (const uint32_t position : {0u, 1u, 31u, 32u, 500u, 4095u, 131071u}) {
      const PageRange range = page_range(position, window, kPage, true);
      const uint32_t oldest = window == 0 || position < window ? 0 : position - window + 1;
      EXPECT_EQ(range.first_position, oldest);
      EXPECT_LE(range.first_page * kPage, oldest);
      EXPECT_GT((range.first_page + 1) * kPage, oldest);
      EXPECT_EQ(range.first_page + range.pages - 1, position / kPage);
    }
  }
}

TEST(PageRange, SplitsAreNeverEmptyNorTooMany) {
  for (uint32_t position = 0; position < 200000; position += 77) {
    const PageRange range = page_range(position, 0, kPage, true);
    EXPECT_LE(range.splits(), kMostSplits);
    EXPECT_GE(range.split_pages, kLeastSplitPages);
    EXPECT_LT((range.splits() - 1) * range.split_pages, range.pages) << position;
    EXPECT_GE(range.splits() * range.split_pages, range.pages) << position;
  }
}

TEST(PageRange, RowsOfPromptsAreWhole) {
  EXPECT_EQ(page_range(131071, 0, kPage, false).splits(), 1u);
}

}  // namespace
}  // namespace hearth::cuda
