// Q5_0: q of 5 bits, the fifth in a word of its own, and one scale for 32 columns: weight = d (q - 16).
#pragma once

#include "cpu/formats/fifth_bit.h"
#include "cpu/kernels/tile.h"

namespace hearth::cpu {

struct Q5_0 {
  static constexpr uint32_t kType = 6, kBlockValues = 32, kBlockBytes = 22;
  static constexpr TileKind kKind{32, 31, 16};

  template <class V, class Rows, class Sink>
  [[gnu::always_inline]] static void unpack(const Rows& rows, int blocks, Sink& tile) {
#pragma GCC unroll 8
    for (int b = 0; b < blocks; ++b) {
      const auto block = rows.at(b);
      tile.put_scale(b, 0, block.half());
      typename V::I nibbles[4], q[8];
      block.words(6, nibbles);
      join_fifth_bits<V>(nibbles, block.word(2), q);
#pragma GCC unroll 8
      for (int i = 0; i < 8; ++i) tile.put(b, i, q[i]);
    }
  }
};

}  // namespace hearth::cpu
