// Q4_1: 32 values, 20 bytes. x[i] = d * q[i] + m, q of 4 bits.
//
//   offset  bytes
//        0      2  d, half
//        2      2  m, half
//        4     16  byte i: q[i] in bits 0-3, q[i + 16] in bits 4-7
#include "quant/finite.h"
#include "quant/fit.h"
#include "quant/format.h"
#include "quant/packed.h"

namespace hearth::quant {
namespace {

constexpr size_t kValues = 32, kBytes = 20;

void decode(const uint8_t* blocks, size_t values, float* out) {
  for (; values != 0; values -= kValues, blocks += kBytes, out += kValues) {
    const float d = load_half(blocks), m = load_half(blocks + 2);
    for (size_t i = 0; i < 16; ++i) {
      out[i] = static_cast<float>(blocks[4 + i] & 15) * d + m;
      out[i + 16] = static_cast<float>(blocks[4 + i] >> 4) * d + m;
    }
  }
}

void encode(const float* in, size_t values, const float* importance, uint8_t* blocks) {
  for (size_t at = 0; at < values; at += kValues, blocks += kBytes) {
    const Samples s(in + at, importance != nullptr ? importance + at : nullptr, kValues);
    const Affine fit = fit_affine(s.x, s.w, kValues, 15, Offset::kAny);
    store_half(blocks, fit.scale);
    store_half(blocks + 2, fit.offset);
    uint8_t q[kValues];
    quantize(s.x, kValues, {load_half(blocks), load_half(blocks + 2)}, 15, q);
    pack_nibbles(q, 16, blocks + 4);
  }
}

const Format kQ4_1{"Q4_1", 3, kValues, kBytes, decode, encode, finite_halves<kBytes, 0, 2>, 32, true};
const RegisterFormat registered(&kQ4_1);

}  // namespace
}  // namespace hearth::quant
