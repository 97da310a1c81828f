#pragma once

#include "cpu/formats/fifth_bit.h"
#include "cpu/kernels/tile.h"

namespace hearth::cpu {

struct Q5_1 {
  static constexpr uint32_t kType = 7, kBlockValues = 32, kBlockBytes = 24;
  static constexpr TileKind kKind{32, 31};

  template <class V, class Sink>
  [[gnu::always_inline]] static void unpack(const uint8_t* base, size_t stride, int blocks, Sink& tile) {
#pragma GCC unroll 8
    for (int b = 0; b < blocks; ++b, base += kBlockBytes) {
      const auto head = V::gather(base, stride);  // scale, then the value of q = 0
      tile.put_scale(b, 0, V::half_low(head));
      tile.put_minimum(b, 0, V::sub(V::zero(), V::half_high(head)));
      typename V::I nibbles[4], q[8];
      V::transpose16(base + 8, stride, nibbles);
      join_fifth_bits<V>(nibbles, V::gather(base + 4, stride), q);
#pragma GCC unroll 8
      for (int i = 0; i < 8; ++i) tile.put(b, i, q[i]);
    }
  }
};

}  // namespace hearth::cpu
