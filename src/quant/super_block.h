// Encoding super-blocks: 256 values in sub-blocks whose scales are themselves small integers times a
// scale of the whole super-block.
#pragma once

#include <cstdint>

#include "quant/fit.h"

namespace hearth::quant {

inline constexpr size_t kSuper_values = 256;

// x[i] = d * scales[s] * q[i] - dmin * mins[s], s = i / sub_values.
struct AffineSuper {
  float d = 0, dmin = 0;  // as rounded to half
  uint8_t scales[16] = {}, mins[16] = {};
  uint8_t q[kSuper_values] = {};
};
// scales and mins in 0..scale_high, q in 0..high; sub_values is 16 or 32.
AffineSuper fit_affine_super(const Samples& samples, size_t sub_values, int scale_high, int high);

// Which integers the values of a sub-block are rounded to.
struct Levels {
  float (*fit)(const float* x, const float* w, size_t n);           // the best scale
  void (*round)(const float* x, size_t n, float scale, int8_t* q);  // the best integers for a scale
};

// x[i] = d * scales[s] * q[i].
struct ScaledSuper {
  float d = 0;  // as rounded to half
  int8_t scales[16] = {};
  int8_t q[kSuper_values] = {};
};
// scales in -scale_low..scale_low-1.
ScaledSuper fit_scaled_super(const Samples& samples, size_t sub_values, int scale_low, const Levels& levels);

}  // namespace hearth::quant
