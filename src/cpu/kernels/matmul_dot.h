// The integer dot product of the 8-bit matmul, which both of its paths compute in the same order.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "cpu/kernels/tile.h"

namespace hearth::cpu {

template <class Format>
inline constexpr int kBlocksOfChunk = static_cast<int>(kChunk / Format::kBlockValues);
template <class Format>
inline constexpr int kChunkBytes = static_cast<int>(kChunk / Format::kBlockValues * Format::kBlockBytes);

// Where the integer sum of one group of columns starts: at 0, or at what undoes the offset.
template <class V, TileKind kKind>
[[gnu::always_inline]] inline typename V::I dot_start(const QuantBlock& block, int group) {
  if (kKind.has_minimum() || (kKind.is_signed() && !V::kBiased)) return V::zero_int();
  const int32_t& bias = kKind.group == 32 ? block.bias : group == 0 ? block.bias_low : block.bias_high;
  constexpr int kShift = std::countr_zero(128u / std::max(1u, unsigned{kKind.offset}));
  return V::template shr_signed<kShift>(V::set_int(static_cast<uint32_t>(bias)));
}

// The integer dot product of one group of columns, quad by quad in order. Where the instruction set adds in
// 16 bits first, as many quads are added there as cannot overflow (|activation| <= 127, two products a lane).
template <class V, TileKind kKind>
class Dot {
 public:
  using I = typename V::I;

  // `values`: the four activations of the quad in every lane, or where they are in memory.
  template <class Values>
  [[gnu::always_inline]] void add(const QuantBlock& block, int group, int quad, I weights, Values values) {
    if (quad == 0) sum_ = dot_start<V, kKind>(block, group);
    if constexpr (V::kShortSums) {
      const I products =
          kKind.is_signed() ? V::short_products_signed(weights, values) : V::short_products(weights, values);
      shorts_ = quad % kShortQuads == 0 ? products : V::add_shorts(shorts_, products);
      if (quad % kShortQuads == kShortQuads - 1) sum_ = V::add_pairs(sum_, shorts_);
    } else {
      sum_ = kKind.is_signed() ? V::dot_signed(sum_, weights, values) : V::dot_unsigned(sum_, weights, values);
    }
  }
  [[gnu::always_inline]] I sum() const { return sum_; }

 private:
  static constexpr int kFitting = INT16_MAX / (2 * 127 * kKind.largest);
  static constexpr int kShortQuads = kFitting >= 8 && kKind.group == 32 ? 8 : kFitting >= 4 ? 4 : kFitting >= 2 ? 2 : 1;
  static_assert(kFitting >= 1);

  I sum_, shorts_;
};

template <TileKind kKind>
inline float block_sum(const QuantBlock& block, int group) {
  return kKind.group == 32 ? block.sum : group == 0 ? block.sum_low : block.sum_high;
}

}  // namespace hearth::cpu
