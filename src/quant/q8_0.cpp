// Q8_0: 32 values, 34 bytes. x[i] = d * q[i].
//
//   offset  bytes
//        0      2  d, half
//        2     32  q[0..31], int8 (the encoder uses -127..127)
#include <algorithm>
#include <cmath>

#include "quant/finite.h"
#include "quant/fit.h"
#include "quant/format.h"
#include "quant/packed.h"

namespace hearth::quant {
namespace {

constexpr size_t kValues = 32, kBytes = 34;

void decode(const uint8_t* blocks, size_t values, float* out) {
  for (; values != 0; values -= kValues, blocks += kBytes, out += kValues) {
    const float d = load_half(blocks);
    for (size_t i = 0; i < kValues; ++i) out[i] = d * static_cast<float>(load<int8_t>(blocks + 2 + i));
  }
}

// With 8 bits a search for a better scale than the largest magnitude / 127 gains nothing.
void encode(const float* in, size_t values, const float*, uint8_t* blocks) {
  for (; values != 0; values -= kValues, blocks += kBytes, in += kValues) {
    const Samples s(in, nullptr, kValues);
    float largest = 0;
    for (size_t i = 0; i < kValues; ++i) largest = std::max(largest, std::fabs(s.x[i]));
    store_half(blocks, largest / 127);
    int8_t q[kValues];
    quantize(s.x, kValues, load_half(blocks), -127, 127, q);
    std::memcpy(blocks + 2, q, kValues);
  }
}

const Format kQ8_0{"Q8_0", 8, kValues, kBytes, decode, encode, finite_halves<kBytes, 0>};
const RegisterFormat registered(&kQ8_0);

}  // namespace
}  // namespace hearth::quant
