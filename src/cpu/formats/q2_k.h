// Q2_K: q of 2 bits, a scale and a minimum of 4 bits for 16 columns: weight = d scale q - dmin minimum.
#pragma once

#include "cpu/kernels/tile.h"

namespace hearth::cpu {

struct Q2_K {
  static constexpr uint32_t kType = 10, kBlockValues = 256, kBlockBytes = 84;
  static constexpr TileKind kKind{16, 3};

  template <class V, class Rows, class Sink>
  [[gnu::always_inline]] static void unpack(const Rows& rows, int, Sink& tile) {
    // scales[16] (low nibble scale, high nibble minimum), qs[64], d, dmin (half).
    typename V::I scales[4];
    rows.words(0, scales);
    const auto head = rows.word(80);
    const auto d = V::half_low(head), dmin = V::half_high(head);
    const auto low = V::set_int(0x0f0f0f0f);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const auto s = V::and_(scales[i], low), m = V::and_(V::template shr<4>(scales[i]), low);
      tile.put_scale(2 * i, 0, V::mul(d, V::template byte<0>(s)));
      tile.put_scale(2 * i, 1, V::mul(d, V::template byte<1>(s)));
      tile.put_scale(2 * i + 1, 0, V::mul(d, V::template byte<2>(s)));
      tile.put_scale(2 * i + 1, 1, V::mul(d, V::template byte<3>(s)));
      tile.put_minimum(2 * i, 0, V::mul(dmin, V::template byte<0>(m)));
      tile.put_minimum(2 * i, 1, V::mul(dmin, V::template byte<1>(m)));
      tile.put_minimum(2 * i + 1, 0, V::mul(dmin, V::template byte<2>(m)));
      tile.put_minimum(2 * i + 1, 1, V::mul(dmin, V::template byte<3>(m)));
    }
#pragma GCC unroll 4
    for (int part = 0; part < 4; ++part) {  // 16 bytes: two bits of 16 columns of four blocks
      const int block = 4 * (part / 2), quad = 4 * (part % 2);
      typename V::I q[4];
      rows.words(16 + 16 * part, q);
      const auto two = V::set_int(0x03030303);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        tile.put(block, quad + i, V::and_(q[i], two));
        tile.put(block + 1, quad + i, V::and_(V::template shr<2>(q[i]), two));
        tile.put(block + 2, quad + i, V::and_(V::template shr<4>(q[i]), two));
        tile.put(block + 3, quad + i, V::and_(V::template shr<6>(q[i]), two));
      }
    }
  }
};

}  // namespace hearth::cpu
