// F32: one little-endian IEEE 754 binary32 per value. 1 value, 4 bytes.
#include <cstring>

#include "quant/finite.h"
#include "quant/format.h"

namespace hearth::quant {
namespace {

void decode(const uint8_t* blocks, size_t values, float* out) {
  std::memcpy(out, blocks, values * sizeof(float));
}

void encode(const float* in, size_t values, const float*, uint8_t* blocks) {
  std::memcpy(blocks, in, values * sizeof(float));
}

const Format kF32{"F32", 0, 1, 4, decode, encode, finite_numbers<uint32_t, 0x7f800000u>};
const RegisterFormat registered(&kF32);

}  // namespace
}  // namespace hearth::quant
