// Q3_K: q of 3 bits and a scale of 6 bits for 16 columns: weight = d (scale - 32) (q - 4).
#pragma once

#include "cpu/kernels/tile.h"

namespace hearth::cpu {

struct Q3_K {
  static constexpr uint32_t kType = 11, kBlockValues = 256, kBlockBytes = 110;
  static constexpr TileKind kKind{16, 7, 4};

  template <class V, class Rows, class Sink>
  [[gnu::always_inline]] static void unpack(const Rows& rows, int, Sink& tile) {
    // hmask[32] (bit b of byte c: third bit of column c of block b), qs[64], scales[12], d (half).
    unpack_scales<V>(rows, tile);
    unpack_half<V, 0>(rows, tile);
    unpack_half<V, 1>(rows, tile);
  }

 private:
  // 16 scales of 6 bits, less 32: the low 4 bits in bytes 0-7, the high 2 in bytes 8-11.
  template <class V, class Rows, class Sink>
  [[gnu::always_inline]] static void unpack_scales(const Rows& rows, Sink& tile) {
    typename V::I words[4];  // the last of qs, then the scales
    rows.words(92, words);
    const typename V::I* bytes = words + 1;
    const auto d = rows.half();
    const auto low = V::set_int(0x0f0f0f0f), two = V::set_int(0x30303030);
    put_scales<V, 0>(V::or_(V::and_(bytes[0], low), V::and_(V::template shl<4>(bytes[2]), two)), d, tile);
    put_scales<V, 1>(V::or_(V::and_(bytes[1], low), V::and_(V::template shl<2>(bytes[2]), two)), d, tile);
    put_scales<V, 2>(V::or_(V::and_(V::template shr<4>(bytes[0]), low), V::and_(bytes[2], two)), d, tile);
    put_scales<V, 3>(V::or_(V::and_(V::template shr<4>(bytes[1]), low), V::and_(V::template shr<2>(bytes[2]), two)), d,
                     tile);
  }
  template <class V, int kFour, class Sink>
  [[gnu::always_inline]] static void put_scales(typename V::I s, typename V::F d, Sink& tile) {
    const auto offset = V::set(32);
    tile.put_scale(2 * kFour, 0, V::mul(d, V::sub(V::template byte<0>(s), offset)));
    tile.put_scale(2 * kFour, 1, V::mul(d, V::sub(V::template byte<1>(s), offset)));
    tile.put_scale(2 * kFour + 1, 0, V::mul(d, V::sub(V::template byte<2>(s), offset)));
    tile.put_scale(2 * kFour + 1, 1, V::mul(d, V::sub(V::template byte<3>(s), offset)));
  }
  template <class V, int kHalf, class Rows, class Sink>
  [[gnu::always_inline]] static void unpack_half(const Rows& rows, Sink& tile) {
    typename V::I high[4];
    rows.words(16 * kHalf, high);
#pragma GCC unroll 2
    for (int n = 0; n < 2; ++n) {
      typename V::I q[4];
      rows.words(32 + 32 * n + 16 * kHalf, q);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        const auto h = n == 0 ? high[i] : V::template shr<4>(high[i]);
        const int quad = 4 * kHalf + i;
        tile.put(4 * n, quad, join<V, 0>(q[i], h));
        tile.put(4 * n + 1, quad, join<V, 1>(q[i], h));
        tile.put(4 * n + 2, quad, join<V, 2>(q[i], h));
        tile.put(4 * n + 3, quad, join<V, 3>(q[i], h));
      }
    }
  }
  template <class V, int kBlockOfFour>
  [[gnu::always_inline]] static typename V::I join(typename V::I q, typename V::I high) {
    const auto bit = V::and_(V::template shr<kBlockOfFour>(high), V::set_int(0x01010101));
    return V::or_(V::and_(V::template shr<2 * kBlockOfFour>(q), V::set_int(0x03030303)), V::template shl<2>(bit));
  }
};

}  // namespace hearth::cpu
