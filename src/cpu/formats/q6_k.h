// Q6_K: q of 6 bits and a scale of 8 bits for 16 columns: weight = d scale (q - 32).
#pragma once

#include "cpu/kernels/tile.h"

namespace hearth::cpu {

struct Q6_K {
  static constexpr uint32_t kType = 14, kBlockValues = 256, kBlockBytes = 210;
  static constexpr TileKind kKind{16, 63, 32};

  template <class V, class Rows, class Sink>
  [[gnu::always_inline]] static void unpack(const Rows& rows, int, Sink& tile) {
    // ql[128], qh[64], scales[16] (int8), d (half).
    unpack_scales<V>(rows, tile);
    const auto low = V::set_int(0x0f0f0f0f), two = V::set_int(0x30303030);
#pragma GCC unroll 2
    for (int n = 0; n < 2; ++n) {  // 128 columns each: 4 blocks
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        typename V::I a[4], b[4], h[4];
        rows.words(64 * n + 16 * half, a);
        rows.words(64 * n + 32 + 16 * half, b);
        rows.words(128 + 32 * n + 16 * half, h);
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
          const int quad = 4 * half + i;
          tile.put(4 * n, quad, V::or_(V::and_(a[i], low), V::and_(V::template shl<4>(h[i]), two)));
          tile.put(4 * n + 1, quad, V::or_(V::and_(b[i], low), V::and_(V::template shl<2>(h[i]), two)));
          tile.put(4 * n + 2, quad, V::or_(V::and_(V::template shr<4>(a[i]), low), V::and_(h[i], two)));
          tile.put(4 * n + 3, quad,
                   V::or_(V::and_(V::template shr<4>(b[i]), low), V::and_(V::template shr<2>(h[i]), two)));
        }
      }
    }
  }

 private:
  template <class V, class Rows, class Sink>
  [[gnu::always_inline]] static void unpack_scales(const Rows& rows, Sink& tile) {
    typename V::I scales[4];
    rows.words(192, scales);
    const auto d = rows.half();
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {  // scale 4 i + j belongs to columns 16 (4 i + j) ..
      tile.put_scale(2 * i, 0, V::mul(d, V::template signed_byte<0>(scales[i])));
      tile.put_scale(2 * i, 1, V::mul(d, V::template signed_byte<1>(scales[i])));
      tile.put_scale(2 * i + 1, 0, V::mul(d, V::template signed_byte<2>(scales[i])));
      tile.put_scale(2 * i + 1, 1, V::mul(d, V::template signed_byte<3>(scales[i])));
    }
  }
};

}  // namespace hearth::cpu
