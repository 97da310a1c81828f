// IQ4_NL: codes of 4 bits for signed bytes of a table and one scale for 32 columns: weight = d table[code].
#pragma once

#include "cpu/formats/nonlinear.h"

namespace hearth::cpu {

struct IQ4_NL {
  static constexpr uint32_t kType = 20, kBlockValues = 32, kBlockBytes = 18;
  static constexpr TileKind kKind{32, 128, 128};

  template <class V, class Rows, class Sink>
  [[gnu::always_inline]] static void unpack(const Rows& rows, int blocks, Sink& tile) {
#pragma GCC unroll 8
    for (int b = 0; b < blocks; ++b) {
      const auto block = rows.at(b);
      tile.put_scale(b, 0, block.half());
      unpack_nonlinear<V>(block, 2, quant::kIq4_codebook, b, tile);
    }
  }
};

}  // namespace hearth::cpu
