// The fifth bits of Q5_0 and Q5_1: bit c of a 32-bit word belongs to column c.
#pragma once

#include <cstdint>

namespace hearth::cpu {

// Moves bits 4 kQuad .. + 3 of every lane to bit 4 of the lane's bytes 0 .. 3.
template <class V, int kQuad>
[[gnu::always_inline]] inline typename V::I fifth_bits(typename V::I bits) {
  const auto nibble = V::and_(V::template shr<4 * kQuad>(bits), V::set_int(15));
  // The factors 2^0, 2^7, 2^14, 2^21 put bit i of the nibble at bit 8 i (and elsewhere, masked away).
  return V::template shl<4>(V::and_(V::mul_int(nibble, V::set_int(0x00204081)), V::set_int(0x01010101)));
}

// All 32 columns: q[quad] from the nibbles (low: columns 0-15, high: 16-31) and the bits.
template <class V>
[[gnu::always_inline]] inline void join_fifth_bits(const typename V::I* nibbles, typename V::I bits, typename V::I* q) {
  const auto low = V::set_int(0x0f0f0f0f);
  q[0] = V::or_(V::and_(nibbles[0], low), fifth_bits<V, 0>(bits));
  q[1] = V::or_(V::and_(nibbles[1], low), fifth_bits<V, 1>(bits));
  q[2] = V::or_(V::and_(nibbles[2], low), fifth_bits<V, 2>(bits));
  q[3] = V::or_(V::and_(nibbles[3], low), fifth_bits<V, 3>(bits));
  q[4] = V::or_(V::and_(V::template shr<4>(nibbles[0]), low), fifth_bits<V, 4>(bits));
  q[5] = V::or_(V::and_(V::template shr<4>(nibbles[1]), low), fifth_bits<V, 5>(bits));
  q[6] = V::or_(V::and_(V::template shr<4>(nibbles[2]), low), fifth_bits<V, 6>(bits));
  q[7] = V::or_(V::and_(V::template shr<4>(nibbles[3]), low), fifth_bits<V, 7>(bits));
}

}  // namespace hearth::cpu
