// How attention over one row's cached positions is cut into parts. Where the cuts are depends on nothing but the
// position in the sequence and the sizes of heads, and every kernel adds the parts up in their order: a row's result
// is the same to the bit alone, in a chunk of any size, and in any company.
#pragma once

#include <cstdint>

#include "cuda/kernels/cache_page.h"

#ifndef __CUDACC__
#define HEARTH_BOTH constexpr
#else
#define HEARTH_BOTH __host__ __device__ constexpr
#endif

namespace hearth::cuda {

// Pages of a split: what fits into shared memory at once.
HEARTH_BOTH uint32_t split_pages(uint32_t dims) {
  return dims <= 128 ? 4 : 2;
}
HEARTH_BOTH uint32_t split_pages(uint32_t key_dim, uint32_t value_dim) {
  return split_pages(key_dim > value_dim ? key_dim : value_dim);
}

// What the row at `position` sees.
struct PageRange {
  uint32_t oldest;  // position
  uint32_t first_page, last_page;

  // Splits are numbered from the start of the sequence.
  HEARTH_BOTH uint32_t first_split(uint32_t pages) const { return first_page / pages; }
  HEARTH_BOTH uint32_t splits(uint32_t pages) const { return last_page / pages - first_split(pages) + 1; }
};

// `chunk_mask`: of a window that begins at multiples of a power of two, what they have in common with a position in it;
// then `window` is 0. Else 0.
HEARTH_BOTH PageRange page_range(uint32_t position, uint32_t window, uint32_t chunk_mask) {
  const uint32_t moving = window != 0 && position >= window ? position - window + 1 : 0;
  const uint32_t chunk = position & chunk_mask, oldest = chunk > moving ? chunk : moving;
  return {oldest, oldest / kPagePositions, position / kPagePositions};
}

// The same of a row that sees to before `end`.
HEARTH_BOTH PageRange page_range_to(uint32_t end, uint32_t position, uint32_t window, uint32_t chunk_mask) {
  PageRange range = page_range(position, window, chunk_mask);
  range.last_page = (end - 1) / kPagePositions;
  return range;
}

}  // namespace hearth::cuda

#undef HEARTH_BOTH
