// Q5_1: 32 values, 24 bytes. x[i] = d * q[i] + m, q of 5 bits.
//
//   offset  bytes
//        0      2  d, half
//        2      2  m, half
//        4      4  h, uint32: bit i is bit 4 of q[i]
//        8     16  byte i: bits 0-3 of q[i] in bits 0-3, of q[i + 16] in bits 4-7
#include "quant/finite.h"
#include "quant/fit.h"
#include "quant/format.h"
#include "quant/packed.h"

namespace hearth::quant {
namespace {

constexpr size_t kValues = 32, kBytes = 24;

void decode(const uint8_t* blocks, size_t values, float* out) {
  for (; values != 0; values -= kValues, blocks += kBytes, out += kValues) {
    const float d = load_half(blocks), m = load_half(blocks + 2);
    const uint32_t high = load<uint32_t>(blocks + 4);
    for (uint32_t i = 0; i < 32; ++i) {
      const int low = i < 16 ? blocks[8 + i] & 15 : blocks[8 + i - 16] >> 4;
      out[i] = static_cast<float>(low | static_cast<int>((high >> i & 1) << 4)) * d + m;
    }
  }
}

void encode(const float* in, size_t values, const float* importance, uint8_t* blocks) {
  for (size_t at = 0; at < values; at += kValues, blocks += kBytes) {
    const Samples s(in + at, importance != nullptr ? importance + at : nullptr, kValues);
    const Affine fit = fit_affine(s.x, s.w, kValues, 31, Offset::kAny);
    store_half(blocks, fit.scale);
    store_half(blocks + 2, fit.offset);
    uint8_t q[kValues];
    quantize(s.x, kValues, {load_half(blocks), load_half(blocks + 2)}, 31, q);
    uint32_t high = 0;
    for (size_t i = 0; i < kValues; ++i) high |= static_cast<uint32_t>(q[i] >> 4) << i;
    store(blocks + 4, high);
    pack_nibbles(q, 16, blocks + 8);
  }
}

const Format kQ5_1{"Q5_1", 7, kValues, kBytes, decode, encode, finite_halves<kBytes, 0, 2>, 32, true};
const RegisterFormat registered(&kQ5_1);

}  // namespace
}  // namespace hearth::quant
