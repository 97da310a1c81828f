// The layout of a cache page on the CPU, and writing to it.
//
// A page holds kPage_tokens = 32 positions of one layer: first the keys of every kv head, then the
// values of every kv head. Keys are stored transposed, so that scores of adjacent positions lie in
// adjacent lanes; values are stored row by row, so that a weighted sum of rows needs no transposition.
//
//   f32, f16   keys: [key_dim][32]; values: [32][value_dim]
//   q8_0       keys: per 32 dimensions 32 half scales (one per position), then [32 dims][32] int8;
//              values: [32] rows of blocks of 32: half scale, then 32 int8
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/half.h"
#include "device/types.h"

namespace hearth::cpu {

using device::CacheType;
using device::kPage_tokens;

inline constexpr uint32_t kCacheBlock = 32;  // dimensions that share a scale in q8_0
inline constexpr size_t kKeyBlock_bytes = kPage_tokens * sizeof(uint16_t) + kCacheBlock * kPage_tokens;
inline constexpr size_t kValueBlock_bytes = sizeof(uint16_t) + kCacheBlock;

inline size_t key_head_bytes(const device::CacheShape& shape) {
  switch (shape.type) {
    case CacheType::kF32:
      return size_t{shape.key_dim} * kPage_tokens * 4;
    case CacheType::kF16:
      return size_t{shape.key_dim} * kPage_tokens * 2;
    case CacheType::kQ8_0:
      return shape.key_dim / kCacheBlock * kKeyBlock_bytes;
  }
  __builtin_unreachable();
}

inline size_t value_row_bytes(const device::CacheShape& shape) {
  switch (shape.type) {
    case CacheType::kF32:
      return size_t{shape.value_dim} * 4;
    case CacheType::kF16:
      return size_t{shape.value_dim} * 2;
    case CacheType::kQ8_0:
      return shape.value_dim / kCacheBlock * kValueBlock_bytes;
  }
  __builtin_unreachable();
}

inline size_t cache_page_bytes(const device::CacheShape& shape) {
  return shape.kv_heads * (key_head_bytes(shape) + kPage_tokens * value_row_bytes(shape));
}

inline std::byte* key_head(const device::CacheLayer& cache, int32_t page, uint32_t head) {
  return cache.data + static_cast<size_t>(page) * cache.page_bytes + head * key_head_bytes(cache.shape);
}
inline std::byte* value_head(const device::CacheLayer& cache, int32_t page, uint32_t head) {
  return cache.data + static_cast<size_t>(page) * cache.page_bytes +
         cache.shape.kv_heads * key_head_bytes(cache.shape) + head * kPage_tokens * value_row_bytes(cache.shape);
}

// Quantises 32 values to bytes `stride` apart; returns the scale as a half. The scale is rounded first,
// so that the bytes fit what will be read. It is not finite if a value is not, or if one is too large for it.
inline uint16_t quantize_cache_block(const float* x, int8_t* out, size_t stride) {
  uint32_t largest = 0;  // of the magnitudes, whose bits have their order, with NaN above infinity
  for (uint32_t i = 0; i < kCacheBlock; ++i) largest = std::max(largest, std::bit_cast<uint32_t>(std::fabs(x[i])));
  const uint16_t half = float_to_half(std::bit_cast<float>(largest) / 127.0f);
  const float scale = half_to_float(half);
  const bool usable = scale > 0 && std::isfinite(scale);
  const float inverse = usable ? 1.0f / scale : 0.0f;
  for (uint32_t i = 0; i < kCacheBlock; ++i)
    out[i * stride] = static_cast<int8_t>(usable ? std::clamp(std::nearbyintf(x[i] * inverse), -127.0f, 127.0f) : 0.0f);
  return half;
}

// One head's key of one position, `slot` = position % 32.
inline void append_key(const device::CacheShape& shape, const float* key, std::byte* head, uint32_t slot) {
  if (shape.type == CacheType::kF32) {
    float* to = reinterpret_cast<float*>(head) + slot;
    for (uint32_t d = 0; d < shape.key_dim; ++d) to[d * kPage_tokens] = key[d];
  } else if (shape.type == CacheType::kF16) {
    uint16_t* to = reinterpret_cast<uint16_t*>(head) + slot;
    for (uint32_t d = 0; d < shape.key_dim; ++d) to[d * kPage_tokens] = float_to_half(key[d]);
  } else {
    for (uint32_t d = 0; d < shape.key_dim; d += kCacheBlock, head += kKeyBlock_bytes) {
      int8_t* bytes = reinterpret_cast<int8_t*>(head) + kPage_tokens * sizeof(uint16_t) + slot;
      reinterpret_cast<uint16_t*>(head)[slot] = quantize_cache_block(key + d, bytes, kPage_tokens);
    }
  }
}

inline void append_value(const device::CacheShape& shape, const float* value, std::byte* head, uint32_t slot) {
  std::byte* row = head + slot * value_row_bytes(shape);
  if (shape.type == CacheType::kF32) {
    std::memcpy(row, value, shape.value_dim * sizeof(float));
  } else if (shape.type == CacheType::kF16) {
    uint16_t* to = reinterpret_cast<uint16_t*>(row);
    for (uint32_t d = 0; d < shape.value_dim; ++d) to[d] = float_to_half(value[d]);
  } else {
    for (uint32_t d = 0; d < shape.value_dim; d += kCacheBlock, row += kValueBlock_bytes) {
      const uint16_t scale = quantize_cache_block(value + d, reinterpret_cast<int8_t*>(row) + sizeof(uint16_t), 1);
      std::memcpy(row, &scale, sizeof scale);
    }
  }
}

}  // namespace hearth::cpu
