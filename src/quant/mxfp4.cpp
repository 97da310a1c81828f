// MXFP4 (OCP Microscaling Formats 1.0): 32 values, 17 bytes. x[i] = 2^(e - 127) * value[code[i]],
// codes are 4-bit floats E2M1: 0, 0.5, 1, 1.5, 2, 3, 4, 6; code 8 + c stands for the negative.
//
//   offset  bytes
//        0      1  e, uint8 (255: NaN, as in the specification; ggml makes 2^128 of it)
//        1     16  byte i: code[i] in bits 0-3, code[i + 16] in bits 4-7
#include <algorithm>
#include <cmath>
#include <limits>

#include "quant/codebook.h"
#include "quant/fit.h"
#include "quant/format.h"
#include "quant/packed.h"

namespace hearth::quant {
namespace {

constexpr size_t kValues = 32, kBytes = 17;
constexpr int kNan = 255;

// 2^(e - 128), half of the scale, as kE2m1_codebook holds twice the values.
float half_scale(int e) {
  if (e == kNan) return std::numeric_limits<float>::quiet_NaN();
  const uint32_t bits = e < 2 ? 0x00200000u << e : static_cast<uint32_t>(e - 1) << 23;
  return std::bit_cast<float>(bits);
}

bool finite(const uint8_t* blocks, size_t count) {
  bool finite = true;
  for (size_t i = 0; i < count; ++i) finite &= blocks[i * kBytes] != kNan;
  return finite;
}

void decode(const uint8_t* blocks, size_t values, float* out) {
  for (; values != 0; values -= kValues, blocks += kBytes, out += kValues) {
    const float d = half_scale(blocks[0]);
    for (size_t i = 0; i < 16; ++i) {
      out[i] = d * static_cast<float>(kE2m1_codebook.values[blocks[1 + i] & 15]);
      out[i + 16] = d * static_cast<float>(kE2m1_codebook.values[blocks[1 + i] >> 4]);
    }
  }
}

// The exponent that puts the largest magnitude near the top of the range: between 3 and 12 half units.
int best_exponent(const Samples& s) {
  float largest = 0;
  for (size_t i = 0; i < kValues; ++i) largest = std::max(largest, std::fabs(s.x[i]));
  if (largest < 1e-30f) return 0;
  const int floor_log2 = std::ilogb(largest);
  int best = 0;
  float best_error = INFINITY;
  for (int e = floor_log2 + 124; e <= floor_log2 + 126; ++e) {
    const float error = codebook_error(s.x, s.w, kValues, half_scale(e), kE2m1_codebook);
    if (error >= best_error) continue;
    best_error = error;
    best = e;
  }
  return best;
}

void encode(const float* in, size_t values, const float* importance, uint8_t* blocks) {
  for (size_t at = 0; at < values; at += kValues, blocks += kBytes) {
    const Samples s(in + at, importance != nullptr ? importance + at : nullptr, kValues);
    const int e = best_exponent(s);
    blocks[0] = static_cast<uint8_t>(e);
    uint8_t codes[kValues] = {};
    if (e != 0) quantize(s.x, kValues, half_scale(e), kE2m1_codebook, codes);
    pack_nibbles(codes, 16, blocks + 1);
  }
}

const Format kMxfp4{"MXFP4", 39, kValues, kBytes, decode, encode, finite};
const RegisterFormat registered(&kMxfp4);

}  // namespace
}  // namespace hearth::quant
