// IQ4_XS: 256 values, 136 bytes; sub-block s (0..7) is values 32 s .. 32 s + 31.
// x = d * (scale[s] - 32) * value[code], codes of 4 bits, values: kIq4_codebook, scale of 6 bits.
//
//   offset  bytes
//        0      2  d, half
//        2      2  uint16: bits 4-5 of scale[s] in bits 2s, 2s+1
//        4      4  bits 0-3 of scale[s]: byte s / 2, bits 0-3 if s is even, bits 4-7 if odd
//        8    128  byte 16 s + i (i 0..15): code[32 s + i] in bits 0-3, code[32 s + 16 + i] in bits 4-7
#include "quant/codebook.h"
#include "quant/finite.h"
#include "quant/format.h"
#include "quant/packed.h"
#include "quant/super_block.h"

namespace hearth::quant {
namespace {

constexpr size_t kBytes = 136;

void decode(const uint8_t* blocks, size_t values, float* out) {
  for (; values != 0; values -= kSuper_values, blocks += kBytes) {
    const float d = load_half(blocks);
    const int high = load<uint16_t>(blocks + 2);
    for (size_t s = 0; s < 8; ++s, out += 32) {
      const int low = blocks[4 + s / 2] >> s % 2 * 4 & 15;
      const float scale = d * static_cast<float>((low | (high >> 2 * s & 3) << 4) - 32);
      const uint8_t* codes = blocks + 8 + 16 * s;
      for (size_t i = 0; i < 16; ++i) {
        out[i] = scale * static_cast<float>(kIq4_codebook.values[codes[i] & 15]);
        out[i + 16] = scale * static_cast<float>(kIq4_codebook.values[codes[i] >> 4]);
      }
    }
  }
}

const Levels kLevels{[](const float* x, const float* w, size_t n) { return fit_codebook(x, w, n, kIq4_codebook); },
                     [](const float* x, size_t n, float scale, int8_t* q) {
                       uint8_t codes[32];
                       quantize(x, n, scale, kIq4_codebook, codes);
                       for (size_t i = 0; i < n; ++i) q[i] = kIq4_codebook.values[codes[i]];
                     }};

void encode(const float* in, size_t values, const float* importance, uint8_t* blocks) {
  for (size_t at = 0; at < values; at += kSuper_values, blocks += kBytes) {
    const Samples samples(in + at, importance != nullptr ? importance + at : nullptr, kSuper_values);
    const ScaledSuper fit = fit_scaled_super(samples, 32, 32, kLevels);
    store_half(blocks, fit.d);
    int high = 0;
    std::memset(blocks + 4, 0, 4);
    for (size_t s = 0; s < 8; ++s) {
      const int scale = fit.scales[s] + 32;
      high |= scale >> 4 << 2 * s;
      blocks[4 + s / 2] = static_cast<uint8_t>(blocks[4 + s / 2] | (scale & 15) << s % 2 * 4);
      uint8_t codes[32];
      for (size_t i = 0; i < 32; ++i) codes[i] = kIq4_codebook.code(fit.q[32 * s + i]);
      pack_nibbles(codes, 16, blocks + 8 + 16 * s);
    }
    store(blocks + 2, static_cast<uint16_t>(high));
  }
}

const Format kIq4Xs{"IQ4_XS", 23, kSuper_values, kBytes, decode, encode, finite_halves<kBytes, 0>};
const RegisterFormat registered(&kIq4Xs);

}  // namespace
}  // namespace hearth::quant
