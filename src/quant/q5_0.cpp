// Q5_0: 32 values, 22 bytes. x[i] = d * (q[i] - 16), q of 5 bits.
//
//   offset  bytes
//        0      2  d, half (may be negative)
//        2      4  h, uint32: bit i is bit 4 of q[i]
//        6     16  byte i: bits 0-3 of q[i] in bits 0-3, of q[i + 16] in bits 4-7
#include "quant/finite.h"
#include "quant/fit.h"
#include "quant/format.h"
#include "quant/packed.h"

namespace hearth::quant {
namespace {

constexpr size_t kValues = 32, kBytes = 22;

void decode(const uint8_t* blocks, size_t values, float* out) {
  for (; values != 0; values -= kValues, blocks += kBytes, out += kValues) {
    const float d = load_half(blocks);
    const uint32_t high = load<uint32_t>(blocks + 2);
    for (uint32_t i = 0; i < 32; ++i) {
      const int low = i < 16 ? blocks[6 + i] & 15 : blocks[6 + i - 16] >> 4;
      out[i] = d * static_cast<float>((low | static_cast<int>((high >> i & 1) << 4)) - 16);
    }
  }
}

void encode(const float* in, size_t values, const float* importance, uint8_t* blocks) {
  for (size_t at = 0; at < values; at += kValues, blocks += kBytes) {
    const Samples s(in + at, importance != nullptr ? importance + at : nullptr, kValues);
    store_half(blocks, fit_scale(s.x, s.w, kValues, -16, 15));
    int8_t q[kValues];
    quantize(s.x, kValues, load_half(blocks), -16, 15, q);
    uint8_t low[kValues];
    uint32_t high = 0;
    for (size_t i = 0; i < kValues; ++i) {
      low[i] = static_cast<uint8_t>(q[i] + 16);
      high |= static_cast<uint32_t>(low[i] >> 4) << i;
    }
    store(blocks + 2, high);
    pack_nibbles(low, 16, blocks + 6);
  }
}

const Format kQ5_0{"Q5_0", 6, kValues, kBytes, decode, encode, finite_halves<kBytes, 0>};
const RegisterFormat registered(&kQ5_0);

}  // namespace
}  // namespace hearth::quant
