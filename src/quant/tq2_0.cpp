// TQ2_0: 256 values, 66 bytes. x = d * (t - 1), t of 2 bits (3 may be read but is never written).
//
//   offset  bytes
//        0     64  byte 32 h + i (h 0..1, i 0..31): t[128 h + 32 c + i] in bits 2c, 2c+1 (c 0..3)
//       64      2  d, half
#include "quant/finite.h"
#include "quant/fit.h"
#include "quant/format.h"
#include "quant/packed.h"

namespace hearth::quant {
namespace {

constexpr size_t kValues = 256, kBytes = 66;

void decode(const uint8_t* blocks, size_t values, float* out) {
  for (; values != 0; values -= kValues, blocks += kBytes, out += kValues) {
    const float d = load_half(blocks + 64);
    for (size_t c = 0; c < 8; ++c)
      for (size_t i = 0; i < 32; ++i)
        out[32 * c + i] = static_cast<float>((blocks[c / 4 * 32 + i] >> c % 4 * 2 & 3) - 1) * d;
  }
}

void encode(const float* in, size_t values, const float* importance, uint8_t* blocks) {
  for (size_t at = 0; at < values; at += kValues, blocks += kBytes) {
    const Samples s(in + at, importance != nullptr ? importance + at : nullptr, kValues);
    store_half(blocks + 64, fit_scale(s.x, s.w, kValues, -1, 1));
    int8_t q[kValues];
    quantize(s.x, kValues, load_half(blocks + 64), -1, 1, q);
    for (size_t i = 0; i < 64; ++i) {
      const int8_t* t = q + i / 32 * 128 + i % 32;
      blocks[i] = static_cast<uint8_t>((t[0] + 1) | (t[32] + 1) << 2 | (t[64] + 1) << 4 | (t[96] + 1) << 6);
    }
  }
}

const Format kTq2_0{"TQ2_0", 35, kValues, kBytes, decode, encode, finite_halves<kBytes, 64>};
const RegisterFormat registered(&kTq2_0);

}  // namespace
}  // namespace hearth::quant
