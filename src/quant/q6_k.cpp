// Q6_K: 256 values, 210 bytes; sub-block s (0..15) is values 16 s .. 16 s + 15.
// x = d * scale[s] * (q - 32), q of 6 bits, scale int8.
//
//   offset  bytes
//        0    128  byte 64 h + 32 e + i (h 0..1, e 0..1, i 0..31): bits 0-3 of q[128 h + 32 e + i] in bits 0-3,
//                  of q[128 h + 64 + 32 e + i] in bits 4-7
//      128     64  byte 32 h + i: bits 4-5 of q[128 h + 32 c + i] in bits 2c, 2c+1 (c 0..3)
//      192     16  scale[0..15], int8
//      208      2  d, half
#include "quant/finite.h"
#include "quant/format.h"
#include "quant/packed.h"
#include "quant/super_block.h"

namespace hearth::quant {
namespace {

constexpr size_t kBytes = 210;
const Levels kLevels{[](const float* x, const float* w, size_t n) { return fit_scale(x, w, n, -32, 31); },
                     [](const float* x, size_t n, float scale, int8_t* q) { quantize(x, n, scale, -32, 31, q); }};

void decode(const uint8_t* blocks, size_t values, float* out) {
  for (; values != 0; values -= kSuper_values, blocks += kBytes, out += kSuper_values) {
    const float d = load_half(blocks + 208);
    for (size_t s = 0; s < 16; ++s) {
      const float scale = d * static_cast<float>(load<int8_t>(blocks + 192 + s));
      const uint8_t *low = blocks + s / 8 * 64 + s % 4 * 16, *high = blocks + 128 + s / 8 * 32 + s % 2 * 16;
      for (size_t i = 0; i < 16; ++i) {
        const int q = (low[i] >> s / 4 % 2 * 4 & 15) | (high[i] >> s / 2 % 4 * 2 & 3) << 4;
        out[16 * s + i] = scale * static_cast<float>(q - 32);
      }
    }
  }
}

void encode(const float* in, size_t values, const float* importance, uint8_t* blocks) {
  for (size_t at = 0; at < values; at += kSuper_values, blocks += kBytes) {
    const Samples samples(in + at, importance != nullptr ? importance + at : nullptr, kSuper_values);
    const ScaledSuper fit = fit_scaled_super(samples, 16, 128, kLevels);
    uint8_t q[kSuper_values];
    for (size_t i = 0; i < kSuper_values; ++i) q[i] = static_cast<uint8_t>(fit.q[i] + 32);
    for (size_t h = 0; h < 2; ++h) {
      pack_nibbles(q + 128 * h, 64, blocks + 64 * h);
      for (size_t i = 0; i < 32; ++i) {
        const uint8_t* v = q + 128 * h + i;
        blocks[128 + 32 * h + i] =
            static_cast<uint8_t>(v[0] >> 4 | v[32] >> 4 << 2 | v[64] >> 4 << 4 | v[96] >> 4 << 6);
      }
    }
    std::memcpy(blocks + 192, fit.scales, 16);
    store_half(blocks + 208, fit.d);
  }
}

const Format kQ6K{"Q6_K", 14, kSuper_values, kBytes, decode, encode, finite_halves<kBytes, 208>, 16};
const RegisterFormat registered(&kQ6K);

}  // namespace
}  // namespace hearth::quant
