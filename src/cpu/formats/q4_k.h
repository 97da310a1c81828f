// Q4_K: q of 4 bits, a scale and a minimum of 6 bits for 32 columns: weight = d scale q - dmin minimum.
#pragma once

#include "cpu/formats/k_scales.h"

namespace hearth::cpu {

struct Q4_K {
  static constexpr uint32_t kType = 12, kBlockValues = 256, kBlockBytes = 144;
  static constexpr TileKind kKind{32, 15};

  template <class V, class Rows, class Sink>
  [[gnu::always_inline]] static void unpack(const Rows& rows, int, Sink& tile) {
    const auto low = V::set_int(0x0f0f0f0f);
    unpack_k_scales<V>(rows, tile);
#pragma GCC unroll 4
    for (int pair = 0; pair < 4; ++pair) {  // 32 bytes: block 2 pair in the low nibbles, the next in the high
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        typename V::I q[4];
        rows.words(16 + 32 * pair + 16 * half, q);
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
          tile.put(2 * pair, 4 * half + i, V::and_(q[i], low));
          tile.put(2 * pair + 1, 4 * half + i, V::and_(V::template shr<4>(q[i]), low));
        }
      }
    }
  }
};

}  // namespace hearth::cpu
