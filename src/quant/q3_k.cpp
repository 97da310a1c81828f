// Q3_K: 256 values, 110 bytes; sub-block s (0..15) is values 16 s .. 16 s + 15.
// x = d * (scale[s] - 32) * (q - 4), q of 3 bits, scale of 6 bits.
//
//   offset  bytes
//        0     32  byte i: bit b is bit 2 of q[32 b + i]
//       32     64  byte 32 h + i (h 0..1, i 0..31): bits 0-1 of q[128 h + 32 c + i] in bits 2c, 2c+1 (c 0..3)
//       96      8  byte s (0..7): bits 0-3 of scale[s] in bits 0-3, of scale[s + 8] in bits 4-7
//      104      4  byte j (0..3): bits 4-5 of scale[4 c + j] in bits 2c, 2c+1 (c 0..3)
//      108      2  d, half
#include "quant/finite.h"
#include "quant/format.h"
#include "quant/packed.h"
#include "quant/super_block.h"

namespace hearth::quant {
namespace {

constexpr size_t kBytes = 110;
const Levels kLevels{[](const float* x, const float* w, size_t n) { return fit_scale(x, w, n, -4, 3); },
                     [](const float* x, size_t n, float scale, int8_t* q) { quantize(x, n, scale, -4, 3, q); }};

int scale_of(const uint8_t* packed, size_t s) {
  const int low = packed[s % 8] >> (s < 8 ? 0 : 4) & 15;
  return (low | (packed[8 + s % 4] >> s / 4 * 2 & 3) << 4) - 32;
}

void pack_scales(const int8_t* scales, uint8_t* packed) {
  std::memset(packed, 0, 12);
  for (size_t s = 0; s < 16; ++s) {
    const int scale = scales[s] + 32;
    packed[s % 8] = static_cast<uint8_t>(packed[s % 8] | (scale & 15) << (s < 8 ? 0 : 4));
    packed[8 + s % 4] = static_cast<uint8_t>(packed[8 + s % 4] | scale >> 4 << s / 4 * 2);
  }
}

void decode(const uint8_t* blocks, size_t values, float* out) {
  for (; values != 0; values -= kSuper_values, blocks += kBytes, out += kSuper_values) {
    const float d = load_half(blocks + 108);
    for (size_t s = 0; s < 16; ++s) {
      const float scale = d * static_cast<float>(scale_of(blocks + 96, s));
      const uint8_t *high = blocks + s % 2 * 16, *low = blocks + 32 + s / 8 * 32 + s % 2 * 16;
      for (size_t i = 0; i < 16; ++i) {
        const int q = (low[i] >> s / 2 % 4 * 2 & 3) | (high[i] >> s / 2 & 1) << 2;
        out[16 * s + i] = scale * static_cast<float>(q - 4);
      }
    }
  }
}

void encode(const float* in, size_t values, const float* importance, uint8_t* blocks) {
  for (size_t at = 0; at < values; at += kSuper_values, blocks += kBytes) {
    const Samples samples(in + at, importance != nullptr ? importance + at : nullptr, kSuper_values);
    const ScaledSuper fit = fit_scaled_super(samples, 16, 32, kLevels);
    std::memset(blocks, 0, 96);
    for (size_t i = 0; i < kSuper_values; ++i) {
      const int q = fit.q[i] + 4;
      uint8_t &high = blocks[i % 32], &low = blocks[32 + i / 128 * 32 + i % 32];
      high = static_cast<uint8_t>(high | q >> 2 << i / 32);
      low = static_cast<uint8_t>(low | (q & 3) << i / 32 % 4 * 2);
    }
    pack_scales(fit.scales, blocks + 96);
    store_half(blocks + 108, fit.d);
  }
}

const Format kQ3K{"Q3_K", 11, kSuper_values, kBytes, decode, encode, finite_halves<kBytes, 108>, 16};
const RegisterFormat registered(&kQ3K);

}  // namespace
}  // namespace hearth::quant
