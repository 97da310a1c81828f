// The 6-bit scales and minima of Q4_K and Q5_K: 8 of each in 12 bytes.
#pragma once

#include "cpu/kernels/tile.h"

namespace hearth::cpu {

// Fills scale and minimum of all 8 blocks from the 16-byte head of a super-block: d, dmin (half), scales.
// Bytes 0-3 and 4-7 hold the low 6 bits of scales and minima 0-3; bytes 8-11 the low 4 bits of both for
// 4-7, whose high 2 bits are the top bits of bytes 0-7.
template <class V, class Rows, class Sink>
[[gnu::always_inline]] inline void unpack_k_scales(const Rows& rows, Sink& tile) {
  using I = typename V::I;
  I head[4];
  rows.words(0, head);
  const auto d = V::half_low(head[0]), dmin = V::half_high(head[0]);
  const I six = V::set_int(0x3f3f3f3f), four = V::set_int(0x0f0f0f0f), two = V::set_int(0x30303030);
  const I scales[2] = {V::and_(head[1], six),
                       V::or_(V::and_(head[3], four), V::and_(V::template shr<2>(head[1]), two))};
  const I minima[2] = {V::and_(head[2], six),
                       V::or_(V::and_(V::template shr<4>(head[3]), four), V::and_(V::template shr<2>(head[2]), two))};
#pragma GCC unroll 2
  for (int h = 0; h < 2; ++h) {
    tile.put_scale(4 * h + 0, 0, V::mul(d, V::template byte<0>(scales[h])));
    tile.put_scale(4 * h + 1, 0, V::mul(d, V::template byte<1>(scales[h])));
    tile.put_scale(4 * h + 2, 0, V::mul(d, V::template byte<2>(scales[h])));
    tile.put_scale(4 * h + 3, 0, V::mul(d, V::template byte<3>(scales[h])));
    tile.put_minimum(4 * h + 0, 0, V::mul(dmin, V::template byte<0>(minima[h])));
    tile.put_minimum(4 * h + 1, 0, V::mul(dmin, V::template byte<1>(minima[h])));
    tile.put_minimum(4 * h + 2, 0, V::mul(dmin, V::template byte<2>(minima[h])));
    tile.put_minimum(4 * h + 3, 0, V::mul(dmin, V::template byte<3>(minima[h])));
  }
}

}  // namespace hearth::cpu
