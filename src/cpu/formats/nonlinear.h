// 4-bit formats whose nibbles index a table of 16 signed values.
#pragma once

#include "cpu/kernels/tile.h"
#include "quant/codebook.h"

namespace hearth::cpu {

// 32 columns from 16 bytes of every row: low nibbles are columns 0-15, high nibbles 16-31.
template <class V, class Rows, class Sink>
[[gnu::always_inline]] inline void unpack_nonlinear(const Rows& rows, int offset, const quant::Codebook& codebook,
                                                    int block, Sink& tile) {
  const auto low = V::set_int(0x0f0f0f0f);
  typename V::I q[4];
  rows.words(offset, q);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    tile.put(block, i, V::from_int8(V::lookup(codebook.values.data(), V::and_(q[i], low))));
    tile.put(block, 4 + i, V::from_int8(V::lookup(codebook.values.data(), V::and_(V::template shr<4>(q[i]), low))));
  }
}

}  // namespace hearth::cpu
