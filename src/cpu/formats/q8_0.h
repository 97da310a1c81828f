// Q8_0: signed bytes and one scale for 32 columns: weight = d q.
#pragma once

#include "cpu/kernels/tile.h"

namespace hearth::cpu {

struct Q8_0 {
  static constexpr uint32_t kType = 8, kBlockValues = 32, kBlockBytes = 34;
  static constexpr TileKind kKind{32, 128, 128};

  template <class V, class Rows, class Sink>
  [[gnu::always_inline]] static void unpack(const Rows& rows, int blocks, Sink& tile) {
#pragma GCC unroll 8
    for (int b = 0; b < blocks; ++b) {
      const auto block = rows.at(b);
      tile.put_scale(b, 0, block.half());
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        typename V::I q[4];
        block.words(2 + 16 * half, q);
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) tile.put(b, 4 * half + i, V::from_int8(q[i]));
      }
    }
  }
};

}  // namespace hearth::cpu
