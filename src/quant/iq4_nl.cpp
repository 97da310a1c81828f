// IQ4_NL: 32 values, 18 bytes. x[i] = d * value[code[i]], codes of 4 bits, values: kIq4_codebook.
//
//   offset  bytes
//        0      2  d, half (may be negative)
//        2     16  byte i: code[i] in bits 0-3, code[i + 16] in bits 4-7
#include "quant/codebook.h"
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
      out[i] = d * static_cast<float>(kIq4_codebook.values[blocks[2 + i] & 15]);
      out[i + 16] = d * static_cast<float>(kIq4_codebook.values[blocks[2 + i] >> 4]);
    }
  }
}

void encode(const float* in, size_t values, const float* importance, uint8_t* blocks) {
  for (size_t at = 0; at < values; at += kValues, blocks += kBytes) {
    const Samples s(in + at, importance != nullptr ? importance + at : nullptr, kValues);
    store_half(blocks, fit_codebook(s.x, s.w, kValues, kIq4_codebook));
    uint8_t codes[kValues];
    quantize(s.x, kValues, load_half(blocks), kIq4_codebook, codes);
    pack_nibbles(codes, 16, blocks + 2);
  }
}

const Format kIq4Nl{"IQ4_NL", 20, kValues, kBytes, decode, encode, finite_halves<kBytes, 0>};
const RegisterFormat registered(&kIq4Nl);

}  // namespace
}  // namespace hearth::quant
