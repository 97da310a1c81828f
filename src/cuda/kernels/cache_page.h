// The layout of a cache page on the GPU. A page holds kPage_tokens = 32 positions of one layer: for each kv
// head its keys, then for each kv head its values. Keys and values are rows, one per position, padded with
// zeros to whole units of 16 bytes, so that a warp reads them in vectors:
//
//   f32, f16   [32][padded dimensions]
//   q8_0       [32][dimensions] int8, then [32][dimensions / 32] half scales: x = scale * q
//
// Positions that were never appended hold anything and are not read.
#pragma once

#include <cstdint>

#ifndef __CUDACC__
#define HEARTH_BOTH constexpr
#else
#define HEARTH_BOTH __host__ __device__ constexpr
#endif

namespace hearth::cuda {

// As device::CacheType, whose order it has.
enum class PageType : uint32_t { kF32, kF16, kQ8_0 };

inline constexpr uint32_t kPagePositions = 32;
inline constexpr uint32_t kScaleGroup = 32;  // dimensions that share a scale in q8_0
inline constexpr uint32_t kUnit_bytes = 16;

HEARTH_BOTH uint32_t element_bytes(PageType type) {
  return type == PageType::kF32 ? 4 : type == PageType::kF16 ? 2 : 1;
}
// Bytes of one position's row of one head, without its scales.
HEARTH_BOTH uint32_t page_row_bytes(PageType type, uint32_t dims) {
  return (dims * element_bytes(type) + kUnit_bytes - 1) / kUnit_bytes * kUnit_bytes;
}
HEARTH_BOTH uint32_t page_scale_bytes(PageType type, uint32_t dims) {
  return type == PageType::kQ8_0 ? dims / kScaleGroup * 2 : 0;
}
// Bytes of the keys (or the values) of one head in a page.
HEARTH_BOTH uint32_t page_head_bytes(PageType type, uint32_t dims) {
  return kPagePositions * (page_row_bytes(type, dims) + page_scale_bytes(type, dims));
}

}  // namespace hearth::cuda

#undef HEARTH_BOTH
