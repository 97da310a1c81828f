// Q5_1: q of 5 bits, one scale and one minimum for 32 columns: weight = d q + m, put as the minimum -m.
#pragma once

#include "cpu/formats/fifth_bit.h"
#include "cpu/kernels/tile.h"

namespace hearth::cpu {

struct Q5_1 {
  static constexpr uint32_t kType = 7, kBlockValues = 32, kBlockBytes = 24;
  static constexpr TileKind kKind{32, 31};

  template <class V, class Rows, class Sink>
  [[gnu::always_inline]] static void unpack(const Rows& rows, int blocks, Sink& tile) {
#pragma GCC unroll 8
    for (int b = 0; b < blocks; ++b) {
      const auto block = rows.at(b);
      const auto head = block.word(0);  // scale, then the value of q = 0
      tile.put_scale(b, 0, V::half_low(head));
      tile.put_minimum(b, 0, V::sub(V::zero(), V::half_high(head)));
      typename V::I nibbles[4], q[8];
      block.words(8, nibbles);
      join_fifth_bits<V>(nibbles, block.word(4), q);
#pragma GCC unroll 8
      for (int i = 0; i < 8; ++i) tile.put(b, i, q[i]);
    }
  }
};

}  // namespace hearth::cpu
