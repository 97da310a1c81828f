// Finding scales: what the encoders share. All minimise the weighted squared error
// sum w (x - decoded)^2. For a fixed rounding the best scale is a least-squares solution, and for a
// fixed scale the best rounding is the nearest one; so each search tries a range of scales, keeps the
// best, and then alternates the two steps (Lloyd's algorithm).
#pragma once

#include <cstddef>
#include <cstdint>

namespace hearth::quant {

// Values per sub-block and block: multiples of 4, at most 256.
inline constexpr size_t kMax_block_values = 256;

// A block to be encoded, made safe: NaN became 0 and what blocks with a half-precision scale cannot hold
// (beyond +-2^28, infinities) was clamped; weights are in (0, 1].
struct Samples {
  alignas(16) float x[kMax_block_values];
  alignas(16) float w[kMax_block_values];

  // importance: null (all weights are equal) or one weight per value; NaN and negative ones count as 0,
  // and 0 as very little.
  Samples(const float* in, const float* importance, size_t n);
};

// x ~ scale * q, low <= q <= high.
float fit_scale(const float* x, const float* w, size_t n, int low, int high);
void quantize(const float* x, size_t n, float scale, int low, int high, int8_t* q);

// x ~ scale * q + offset, 0 <= q <= high, scale >= 0.
struct Affine {
  float scale = 0, offset = 0;
};
enum class Offset { kAny, kNotPositive };
Affine fit_affine(const float* x, const float* w, size_t n, int high, Offset offset);
void quantize(const float* x, size_t n, Affine fit, int high, uint8_t* q);

}  // namespace hearth::quant
