// Which kernel of kernels/attention.cu and attention_tensor.cuh fits a cache and a group of heads. One of the two
// serves all rows of a model: they add up in different orders.
#pragma once

#include <array>
#include <string>

#include "base/error.h"
#include "cuda/kernels/args.h"
#include "device/types.h"

namespace hearth::cuda {

struct AttendVariant {
  device::CacheType type;
  uint32_t heads;  // query heads of one block
  uint32_t parts;  // of 128 value dimensions

  uint32_t key() const { return static_cast<uint32_t>(type) << 16 | heads << 8 | parts; }
  std::string name() const {
    constexpr const char* kTypes[] = {"f32", "f16", "q8_0"};
    return fmt::format("attend_{}_{}_{}", kTypes[static_cast<size_t>(type)], heads, parts);
  }
};

inline constexpr uint32_t kMostValueDims = 512, kMostKeyDims = 1024;

// What attention.cu instantiates for every cache type: {heads, parts}, ascending.
inline constexpr std::array<std::array<uint32_t, 2>, 6> kAttendSizes{{{1, 1}, {4, 1}, {8, 1}, {1, 2}, {4, 2}, {4, 4}}};

// The sizes of attention_tensor.cuh.
inline constexpr std::array<uint32_t, 3> kTensorSizes{64, 128, 256};

// 0 if its kernels cannot be used.
inline uint32_t tensor_size(const device::CacheShape& shape, uint32_t group) {
  if (shape.type == device::CacheType::kF32 || shape.key_dim % 16 != 0 || shape.value_dim % 16 != 0) return 0;
  if (group > kChunkTileRows || shape.values_in_keys) return 0;
  for (const uint32_t size : kTensorSizes)
    if (shape.key_dim <= size && shape.value_dim <= size) return size;
  return 0;
}

inline AttendVariant attend_variant(const device::CacheShape& shape, uint32_t group) {
  const uint32_t parts = shape.value_dim <= 128 ? 1 : shape.value_dim <= 256 ? 2 : 4;
  uint32_t heads = 0;
  for (const auto& [size, its_parts] : kAttendSizes)
    if (its_parts == parts && (heads == 0 || heads < group)) heads = size;
  return {shape.type, heads, parts};
}

}  // namespace hearth::cuda
