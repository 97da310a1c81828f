// Q2_K: 256 values, 84 bytes; sub-block s (0..15) is values 16 s .. 16 s + 15.
// x = d * scale[s] * q - dmin * min[s], q of 2 bits, scale and min of 4 bits.
//
//   offset  bytes
//        0     16  byte s: scale[s] in bits 0-3, min[s] in bits 4-7
//       16     64  byte 32 h + i (h 0..1, i 0..31): q[128 h + 32 c + i] in bits 2c, 2c+1 (c 0..3)
//       80      2  d, half
//       82      2  dmin, half
#include "quant/finite.h"
#include "quant/format.h"
#include "quant/packed.h"
#include "quant/super_block.h"

namespace hearth::quant {
namespace {

constexpr size_t kBytes = 84;

void decode(const uint8_t* blocks, size_t values, float* out) {
  for (; values != 0; values -= kSuper_values, blocks += kBytes, out += kSuper_values) {
    const float d = load_half(blocks + 80), dmin = load_half(blocks + 82);
    for (size_t s = 0; s < 16; ++s) {
      const float scale = d * static_cast<float>(blocks[s] & 15), min = dmin * static_cast<float>(blocks[s] >> 4);
      const uint8_t* q = blocks + 16 + s / 8 * 32 + s % 2 * 16;
      for (size_t i = 0; i < 16; ++i) out[16 * s + i] = scale * static_cast<float>(q[i] >> s / 2 % 4 * 2 & 3) - min;
    }
  }
}

void encode(const float* in, size_t values, const float* importance, uint8_t* blocks) {
  for (size_t at = 0; at < values; at += kSuper_values, blocks += kBytes) {
    const Samples samples(in + at, importance != nullptr ? importance + at : nullptr, kSuper_values);
    const AffineSuper fit = fit_affine_super(samples, 16, 15, 3);
    for (size_t s = 0; s < 16; ++s) blocks[s] = static_cast<uint8_t>(fit.scales[s] | fit.mins[s] << 4);
    for (size_t i = 0; i < 64; ++i) {
      const uint8_t* q = fit.q + i / 32 * 128 + i % 32;
      blocks[16 + i] = static_cast<uint8_t>(q[0] | q[32] << 2 | q[64] << 4 | q[96] << 6);
    }
    store_half(blocks + 80, fit.d);
    store_half(blocks + 82, fit.dmin);
  }
}

const Format kQ2K{"Q2_K", 10, kSuper_values, kBytes, decode, encode, finite_halves<kBytes, 80, 82>, 16, true};
const RegisterFormat registered(&kQ2K);

}  // namespace
}  // namespace hearth::quant
