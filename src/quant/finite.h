// Whether what a format calls its scales (or values) is finite: Format::finite.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "quant/packed.h"

namespace hearth::quant {

inline bool finite_half_bits(uint16_t bits) {
  return (bits & 0x7c00u) != 0x7c00u;
}

// Blocks of kBytes with a half at each of these offsets.
template <size_t kBytes, size_t... kOffsets>
bool finite_halves(const uint8_t* blocks, size_t count) {
  bool finite = true;
  for (size_t i = 0; i < count; ++i, blocks += kBytes)
    finite &= (finite_half_bits(load<uint16_t>(blocks + kOffsets)) & ...);
  return finite;
}

// Numbers of type Bits whose exponents are the bits of kExponent.
template <class Bits, Bits kExponent>
bool finite_numbers(const uint8_t* blocks, size_t count) {
  bool finite = true;
  for (size_t i = 0; i < count; ++i) finite &= (load<Bits>(blocks + sizeof(Bits) * i) & kExponent) != kExponent;
  return finite;
}

// Formats that cannot express anything else.
inline bool always_finite(const uint8_t*, size_t) {
  return true;
}

}  // namespace hearth::quant
