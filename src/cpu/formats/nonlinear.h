// 4-bit formats whose nibbles index a table of 16 signed values.
#pragma once

#include "cpu/kernels/tile.h"

namespace hearth::cpu {

// The values of IQ4_NL and IQ4_XS (ggml-common.h, kvalues_iq4nl).
inline constexpr int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

// Twice the values of FP4 E2M1 (OCP Microscaling Formats specification 1.0, section 5.3.3).
inline constexpr int8_t kFp4Values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// 32 columns from 16 bytes of every row: low nibbles are columns 0-15, high nibbles 16-31.
template <class V, class Sink>
[[gnu::always_inline]] inline void unpack_nonlinear(const uint8_t* base, size_t stride, const int8_t* table, int block, Sink& tile) {
  const auto low = V::set_int(0x0f0f0f0f);
  typename V::I q[4];
  V::transpose16(base, stride, q);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    tile.put(block, i, V::to_signed(V::lookup(table, V::and_(q[i], low)), 0));
    tile.put(block, 4 + i, V::to_signed(V::lookup(table, V::and_(V::template shr<4>(q[i]), low)), 0));
  }
}

}  // namespace hearth::cpu
