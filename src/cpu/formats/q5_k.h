// Q5_K: q of 5 bits, a scale and a minimum of 6 bits for 32 columns: weight = d scale q - dmin minimum.
#pragma once

#include "cpu/formats/k_scales.h"

namespace hearth::cpu {

struct Q5_K {
  static constexpr uint32_t kType = 13, kBlockValues = 256, kBlockBytes = 176;
  static constexpr TileKind kKind{32, 31};

  template <class V, class Rows, class Sink>
  [[gnu::always_inline]] static void unpack(const Rows& rows, int, Sink& tile) {
    unpack_k_scales<V>(rows, tile);
    // Bit b of high byte c is the fifth bit of column c of block b; then 4 x 32 bytes of nibbles as in Q4_K.
    unpack_half<V, 0>(rows, tile);
    unpack_half<V, 1>(rows, tile);
  }

 private:
  template <class V, int kHalf, class Rows, class Sink>
  [[gnu::always_inline]] static void unpack_half(const Rows& rows, Sink& tile) {
    typename V::I high[4];
    rows.words(16 + 16 * kHalf, high);
    unpack_pair<V, kHalf, 0>(rows, high, tile);
    unpack_pair<V, kHalf, 1>(rows, high, tile);
    unpack_pair<V, kHalf, 2>(rows, high, tile);
    unpack_pair<V, kHalf, 3>(rows, high, tile);
  }
  template <class V, int kHalf, int kPair, class Rows, class Sink>
  [[gnu::always_inline]] static void unpack_pair(const Rows& rows, const typename V::I* high, Sink& tile) {
    const auto low = V::set_int(0x0f0f0f0f), fifth = V::set_int(0x10101010), one = V::set_int(0x01010101);
    typename V::I q[4];
    rows.words(48 + 32 * kPair + 16 * kHalf, q);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const auto even = V::template shl<4>(V::and_(V::template shr<2 * kPair>(high[i]), one));
      const auto odd = V::and_(V::template shl<4>(V::template shr<2 * kPair + 1>(high[i])), fifth);
      tile.put(2 * kPair, 4 * kHalf + i, V::or_(V::and_(q[i], low), even));
      tile.put(2 * kPair + 1, 4 * kHalf + i, V::or_(V::and_(V::template shr<4>(q[i]), low), odd));
    }
  }
};

}  // namespace hearth::cpu
