// Q4_1: q of 4 bits, one scale and one minimum for 32 columns: weight = d q + m, put as the minimum -m.
#pragma once

#include "cpu/kernels/tile.h"

namespace hearth::cpu {

struct Q4_1 {
  static constexpr uint32_t kType = 3, kBlockValues = 32, kBlockBytes = 20;
  static constexpr TileKind kKind{32, 15};

  template <class V, class Rows, class Sink>
  [[gnu::always_inline]] static void unpack(const Rows& rows, int blocks, Sink& tile) {
    const auto low = V::set_int(0x0f0f0f0f);
#pragma GCC unroll 8
    for (int b = 0; b < blocks; ++b) {
      const auto block = rows.at(b);
      const auto head = block.word(0);  // scale, then the value of q = 0
      tile.put_scale(b, 0, V::half_low(head));
      tile.put_minimum(b, 0, V::sub(V::zero(), V::half_high(head)));
      typename V::I q[4];
      block.words(4, q);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        tile.put(b, i, V::and_(q[i], low));
        tile.put(b, 4 + i, V::and_(V::template shr<4>(q[i]), low));
      }
    }
  }
};

}  // namespace hearth::cpu
