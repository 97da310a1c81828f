// MXFP4: 4-bit floats, unpacked to twice their value as signed bytes, and a power of two for 32 columns.
#pragma once

#include "cpu/formats/nonlinear.h"

namespace hearth::cpu {

struct MXFP4 {
  static constexpr uint32_t kType = 39, kBlockValues = 32, kBlockBytes = 17;
  static constexpr TileKind kKind{32, 128, 128};

  template <class V, class Rows, class Sink>
  [[gnu::always_inline]] static void unpack(const Rows& rows, int blocks, Sink& tile) {
#pragma GCC unroll 8
    for (int b = 0; b < blocks; ++b) {
      const auto block = rows.at(b);
      // One byte of exponent e: the scale is 2^(e - 127), halved because the table is doubled. As a
      // float's exponent field e is right down to 1; 0 stands for 2^-127.
      const auto e = block.byte();
      const auto scale = V::as_float(V::max_int(V::template shl<23>(e), V::set_int(0x00400000)));
      tile.put_scale(b, 0, V::mul(scale, V::set(0.5f)));
      unpack_nonlinear<V>(block, 1, quant::kE2m1_codebook, b, tile);
    }
  }
};

}  // namespace hearth::cpu
