// Q4_0: 32 values, 18 bytes. x[i] = d * (q[i] - 8), q of 4 bits.
//
//   offset  bytes
//        0      2  d, half (may be negative)
//        2     16  byte i: q[i] in bits 0-3, q[i + 16] in bits 4-7
#include "quant/finite.h"
#include "quant/fit.h"
#include "quant/format.h"
#include "quant/packed.h"

namespace hearth::quant {
namespace {

constexpr size_t kValues = 32, kBytes = 18;

void decode(const uint8_t* blocks, size_t values, float* out) {
  for (; values != 0; values -= kValues, blocks += kBytes, out += kValues) {
    const float d = load_half(blocks);
    for (size_t i = 0; i < 16; ++i) {
      out[i] = d * static_cast<float>((blocks[2 + i] & 15) - 8);
      out[i + 16] = d * static_cast<float>((blocks[2 + i] >> 4) - 8);
    }
  }
}

void encode(const float* in, size_t values, const float* importance, uint8_t* blocks) {
  for (size_t at = 0; at < values; at += kValues, blocks += kBytes) {
    const Samples s(in + at, importance != nullptr ? importance + at : nullptr, kValues);
    store_half(blocks, fit_scale(s.x, s.w, kValues, -8, 7));
    int8_t q[kValues];
    quantize(s.x, kValues, load_half(blocks), -8, 7, q);
    uint8_t nibbles[kValues];
    for (size_t i = 0; i < kValues; ++i) nibbles[i] = static_cast<uint8_t>(q[i] + 8);
    pack_nibbles(nibbles, 16, blocks + 2);
  }
}

const Format kQ4_0{"Q4_0", 2, kValues, kBytes, decode, encode, finite_halves<kBytes, 0>};
const RegisterFormat registered(&kQ4_0);

}  // namespace
}  // namespace hearth::quant
