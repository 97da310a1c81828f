// How attention over one row's cached positions is cut into parts that run on different multiprocessors. It
// depends on the row's own position and window alone, never on the rest of the batch: the sum's order, and so
// the result, is the same in any company.
#pragma once

#include <cstdint>

#ifndef __CUDACC__
#define HEARTH_BOTH constexpr
#else
#define HEARTH_BOTH __host__ __device__ constexpr
#endif

namespace hearth::cuda {

inline constexpr uint32_t kMostSplits = 64, kLeastSplitPages = 4;

struct PageRange {
  uint32_t first_position;  // the oldest that the row sees
  uint32_t first_page, pages;
  uint32_t split_pages;  // pages of each split (the last one may have fewer)

  HEARTH_BOTH uint32_t splits() const { return (pages + split_pages - 1) / split_pages; }
};

// `split`: rows of prompts are many, each row is one part.
HEARTH_BOTH PageRange page_range(uint32_t position, uint32_t window, uint32_t page_positions, bool split) {
  const uint32_t first = window != 0 && position >= window ? position - window + 1 : 0;
  const uint32_t first_page = first / page_positions, pages = position / page_positions - first_page + 1;
  if (!split) return {first, first_page, pages, pages};
  const uint32_t even = (pages + kMostSplits - 1) / kMostSplits;
  return {first, first_page, pages, even > kLeastSplitPages ? even : kLeastSplitPages};
}

}  // namespace hearth::cuda

#undef HEARTH_BOTH
