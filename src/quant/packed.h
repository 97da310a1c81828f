// Fields of packed blocks: little-endian and unaligned, so they are read and written byte by byte.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "base/half.h"
#include "base/load.h"

namespace hearth::quant {

template <class T>
inline void store(uint8_t* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

inline float load_half(const uint8_t* from) {
  return half_to_float(load<uint16_t>(from));
}

// The nearest finite half: a block's scale must never become infinite.
inline uint16_t finite_half(float value) {
  return float_to_half(std::clamp(value, -65504.0f, 65504.0f));
}

// `value` as it will be read back.
inline float round_to_half(float value) {
  return half_to_float(finite_half(value));
}

inline void store_half(uint8_t* to, float value) {
  store(to, finite_half(value));
}

// 2 n values of 4 bits: value i in the low half of byte i, value n + i in the high half.
inline void pack_nibbles(const uint8_t* values, size_t n, uint8_t* to) {
  for (size_t i = 0; i < n; ++i) to[i] = static_cast<uint8_t>((values[i] & 15) | (values[n + i] << 4));
}

}  // namespace hearth::quant
