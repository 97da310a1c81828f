// Q5_K: 256 values, 176 bytes; sub-block s (0..7) is values 32 s .. 32 s + 31.
// x = d * scale[s] * q - dmin * min[s], q of 5 bits, scale and min of 6 bits.
//
//   offset  bytes
//        0      2  d, half
//        2      2  dmin, half
//        4     12  scales and minima, see k_scales.h
//       16     32  byte i: bit s is bit 4 of q[32 s + i]
//       48    128  byte 32 c + i (c 0..3): bits 0-3 of q[64 c + i] in bits 0-3, of q[64 c + 32 + i] in bits 4-7
#include "quant/finite.h"
#include "quant/format.h"
#include "quant/k_scales.h"
#include "quant/packed.h"
#include "quant/super_block.h"

namespace hearth::quant {
namespace {

constexpr size_t kBytes = 176;

void decode(const uint8_t* blocks, size_t values, float* out) {
  for (; values != 0; values -= kSuper_values, blocks += kBytes) {
    const float d = load_half(blocks), dmin = load_half(blocks + 2);
    uint8_t scales[8], mins[8];
    unpack_k_scales(blocks + 4, scales, mins);
    const uint8_t *high = blocks + 16, *low = blocks + 48;
    for (size_t s = 0; s < 8; ++s, out += 32) {
      const float scale = d * static_cast<float>(scales[s]), min = dmin * static_cast<float>(mins[s]);
      const int shift = s % 2 == 0 ? 0 : 4;
      for (size_t i = 0; i < 32; ++i) {
        const int q = (low[32 * (s / 2) + i] >> shift & 15) | (high[i] >> s & 1) << 4;
        out[i] = scale * static_cast<float>(q) - min;
      }
    }
  }
}

void encode(const float* in, size_t values, const float* importance, uint8_t* blocks) {
  for (size_t at = 0; at < values; at += kSuper_values, blocks += kBytes) {
    const Samples samples(in + at, importance != nullptr ? importance + at : nullptr, kSuper_values);
    const AffineSuper fit = fit_affine_super(samples, 32, 63, 31);
    store_half(blocks, fit.d);
    store_half(blocks + 2, fit.dmin);
    pack_k_scales(fit.scales, fit.mins, blocks + 4);
    for (size_t i = 0; i < 32; ++i) {
      int high = 0;
      for (size_t s = 0; s < 8; ++s) high |= fit.q[32 * s + i] >> 4 << s;
      blocks[16 + i] = static_cast<uint8_t>(high);
    }
    for (size_t c = 0; c < 4; ++c) pack_nibbles(fit.q + 64 * c, 32, blocks + 48 + 32 * c);
  }
}

const Format kQ5K{"Q5_K", 13, kSuper_values, kBytes, decode, encode, finite_halves<kBytes, 0, 2>, 32, true};
const RegisterFormat registered(&kQ5K);

}  // namespace
}  // namespace hearth::quant
