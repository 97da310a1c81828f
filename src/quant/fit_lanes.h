// Four floats at a time, for the loops of the scale searches (compiled to SSE2 or NEON).
#pragma once

#include <cstring>

namespace hearth::quant {

using Lanes = float __attribute__((vector_size(16)));

inline Lanes load_lanes(const float* from) {
  Lanes lanes;
  std::memcpy(&lanes, from, sizeof lanes);
  return lanes;
}

inline Lanes all_lanes(float value) {
  return Lanes{value, value, value, value};
}

inline float sum(Lanes v) {
  return (v[0] + v[2]) + (v[1] + v[3]);
}

// Nearest integers, for |v| < 2^22: adding 1.5 * 2^23 leaves no bits for a fraction.
inline Lanes nearest(Lanes v) {
  return (v + 12582912.0f) - 12582912.0f;
}

inline Lanes clamp(Lanes v, Lanes low, Lanes high) {
  v = v < low ? low : v;
  return v > high ? high : v;
}

inline Lanes nearest(Lanes v, Lanes low, Lanes high) {
  return nearest(clamp(v, low, high));
}

}  // namespace hearth::quant
