// BF16: the upper 16 bits of a binary32, little-endian. 1 value, 2 bytes.
//
// encode: to nearest even. Infinity and NaN stay what they are.
#include "quant/finite.h"
#include "quant/format.h"
#include "quant/packed.h"

namespace hearth::quant {
namespace {

void decode(const uint8_t* blocks, size_t values, float* out) {
  for (size_t i = 0; i < values; ++i) out[i] = bfloat_to_float(load<uint16_t>(blocks + 2 * i));
}

void encode(const float* in, size_t values, const float*, uint8_t* blocks) {
  for (size_t i = 0; i < values; ++i) store(blocks + 2 * i, float_to_bfloat(in[i]));
}

const Format kBf16{"BF16", 30, 1, 2, decode, encode, finite_numbers<uint16_t, 0x7f80>};
const RegisterFormat registered(&kBf16);

}  // namespace
}  // namespace hearth::quant
