#pragma once

#include "cpu/formats/nonlinear.h"

namespace hearth::cpu {

struct IQ4_NL {
  static constexpr uint32_t kType = 20, kBlockValues = 32, kBlockBytes = 18;
  static constexpr TileKind kKind{32, 128, 128};

  template <class V, class Sink>
  [[gnu::always_inline]] static void unpack(const uint8_t* base, size_t stride, int blocks, Sink& tile) {
#pragma GCC unroll 8
    for (int b = 0; b < blocks; ++b, base += kBlockBytes) {
      tile.put_scale(b, 0, V::half_low(V::gather(base, stride)));
      unpack_nonlinear<V>(base + 2, stride, quant::kIq4_codebook, b, tile);
    }
  }
};

}  // namespace hearth::cpu
