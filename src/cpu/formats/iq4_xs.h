// IQ4_XS: codes as in IQ4_NL and a scale of 6 bits for 32 columns: weight = d (scale - 32) table[code].
#pragma once

#include "cpu/formats/nonlinear.h"

namespace hearth::cpu {

struct IQ4_XS {
  static constexpr uint32_t kType = 23, kBlockValues = 256, kBlockBytes = 136;
  static constexpr TileKind kKind{32, 128, 128};

  template <class V, class Rows, class Sink>
  [[gnu::always_inline]] static void unpack(const Rows& rows, int, Sink& tile) {
    // d (half), high 2 bits of the 8 scales (16 bits), their low 4 bits (32 bits), then 8 x 16 bytes.
    const auto head = rows.word(0), low = rows.word(4);
    const auto d = V::half_low(head);
    put_scale<V, 0>(head, low, d, tile);
    put_scale<V, 1>(head, low, d, tile);
    put_scale<V, 2>(head, low, d, tile);
    put_scale<V, 3>(head, low, d, tile);
    put_scale<V, 4>(head, low, d, tile);
    put_scale<V, 5>(head, low, d, tile);
    put_scale<V, 6>(head, low, d, tile);
    put_scale<V, 7>(head, low, d, tile);
#pragma GCC unroll 8
    for (int b = 0; b < kChunkBlocks; ++b) unpack_nonlinear<V>(rows, 8 + 16 * b, quant::kIq4_codebook, b, tile);
  }

 private:
  template <class V, int kOf, class Sink>
  [[gnu::always_inline]] static void put_scale(typename V::I head, typename V::I low, typename V::F d, Sink& tile) {
    const auto bits = V::or_(V::and_(V::template shr<4 * kOf>(low), V::set_int(15)),
                             V::template shl<4>(V::and_(V::template shr<16 + 2 * kOf>(head), V::set_int(3))));
    tile.put_scale(kOf, 0, V::mul(d, V::sub(V::to_float(bits), V::set(32))));
  }
};

}  // namespace hearth::cpu
