// F16: one little-endian IEEE 754 binary16 per value. 1 value, 2 bytes.
//
// encode: to nearest even. Beyond +-65504: infinity; NaN stays NaN.
#include "quant/finite.h"
#include "quant/format.h"
#include "quant/packed.h"

namespace hearth::quant {
namespace {

void decode(const uint8_t* blocks, size_t values, float* out) {
  for (size_t i = 0; i < values; ++i) out[i] = load_half(blocks + 2 * i);
}

void encode(const float* in, size_t values, const float*, uint8_t* blocks) {
  for (size_t i = 0; i < values; ++i) store(blocks + 2 * i, float_to_half(in[i]));
}

const Format kF16{"F16", 1, 1, 2, decode, encode, finite_numbers<uint16_t, 0x7c00>};
const RegisterFormat registered(&kF16);

}  // namespace
}  // namespace hearth::quant
