// Q4_0: q of 4 bits and one scale for 32 columns: weight = d (q - 8).
#pragma once

#include "cpu/kernels/tile.h"

namespace hearth::cpu {

struct Q4_0 {
  static constexpr uint32_t kType = 2, kBlockValues = 32, kBlockBytes = 18;
  static constexpr TileKind kKind{32, 15, 8};

  template <class V, class Rows, class Sink>
  [[gnu::always_inline]] static void unpack(const Rows& rows, int blocks, Sink& tile) {
    const auto low = V::set_int(0x0f0f0f0f);
#pragma GCC unroll 8
    for (int b = 0; b < blocks; ++b) {
      const auto block = rows.at(b);
      tile.put_scale(b, 0, block.half());
      typename V::I q[4];
      block.words(2, q);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        tile.put(b, i, V::and_(q[i], low));
        tile.put(b, 4 + i, V::and_(V::template shr<4>(q[i]), low));
      }
    }
  }
};

}  // namespace hearth::cpu
