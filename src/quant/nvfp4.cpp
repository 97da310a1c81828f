// NVFP4: 64 values, 36 bytes; sub-block s (0..3) is values 16 s .. 16 s + 15.
// x = scale[s] * value[code]; codes as in MXFP4; scales are unsigned 8-bit floats E4M3 (bias 7,
// subnormals; bit 7 is ignored; 127 is NaN, as in the specification; ggml makes 0 of it).
// A tensor of this type usually comes with a factor of its own in another tensor: not applied here.
//
//   offset  bytes
//        0      4  scale[0..3]
//        4     32  byte 8 s + i (i 0..7): code[16 s + i] in bits 0-3, code[16 s + 8 + i] in bits 4-7
#include <algorithm>
#include <cmath>
#include <limits>

#include "quant/codebook.h"
#include "quant/fit.h"
#include "quant/format.h"
#include "quant/packed.h"

namespace hearth::quant {
namespace {

constexpr size_t kValues = 64, kBytes = 36;
constexpr int kNan = 127;

// Half of the scale, as kE2m1_codebook holds twice the values.
float half_scale(int code) {
  code &= 127;
  if (code == kNan) return std::numeric_limits<float>::quiet_NaN();
  const int exponent = code >> 3, mantissa = code & 7;
  return exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -10)
                       : std::ldexp(static_cast<float>(8 + mantissa), exponent - 11);
}

bool finite(const uint8_t* blocks, size_t count) {
  bool finite = true;
  for (size_t i = 0; i < count; ++i, blocks += kBytes)
    for (size_t s = 0; s < 4; ++s) finite &= (blocks[s] & 127) != kNan;
  return finite;
}

void decode(const uint8_t* blocks, size_t values, float* out) {
  for (; values != 0; values -= kValues, blocks += kBytes) {
    for (size_t s = 0; s < 4; ++s, out += 16) {
      const float d = half_scale(blocks[s]);
      const uint8_t* codes = blocks + 4 + 8 * s;
      for (size_t i = 0; i < 8; ++i) {
        out[i] = d * static_cast<float>(kE2m1_codebook.values[codes[i] & 15]);
        out[i + 8] = d * static_cast<float>(kE2m1_codebook.values[codes[i] >> 4]);
      }
    }
  }
}

// Scales that map the largest magnitude to between about 4 and 8 (3 and 16 half units).
int best_scale(const float* x, const float* w) {
  float largest = 0;
  for (size_t i = 0; i < 16; ++i) largest = std::max(largest, std::fabs(x[i]));
  int best = 0;
  float best_error = INFINITY;
  for (int code = 1; code < 127; ++code) {
    const float d = half_scale(code);
    if (code != 1 && code != 126 && (largest > 16 * d || largest < 7 * d)) continue;
    const float error = codebook_error(x, w, 16, d, kE2m1_codebook);
    if (error >= best_error) continue;
    best_error = error;
    best = code;
  }
  return best;
}

void encode(const float* in, size_t values, const float* importance, uint8_t* blocks) {
  for (size_t at = 0; at < values; at += kValues, blocks += kBytes) {
    const Samples samples(in + at, importance != nullptr ? importance + at : nullptr, kValues);
    for (size_t s = 0; s < 4; ++s) {
      const int scale = best_scale(samples.x + 16 * s, samples.w + 16 * s);
      blocks[s] = static_cast<uint8_t>(scale);
      uint8_t codes[16];
      quantize(samples.x + 16 * s, 16, half_scale(scale), kE2m1_codebook, codes);
      pack_nibbles(codes, 8, blocks + 4 + 8 * s);
    }
  }
}

const Format kNvfp4{"NVFP4", 40, kValues, kBytes, decode, encode, finite, 16};
const RegisterFormat registered(&kNvfp4);

}  // namespace
}  // namespace hearth::quant
