// IQ1_S: 256 values, 50 bytes; sub-block s (0..7) is values 32 s .. 32 s + 31, four groups of eight.
// x = d * (2 scale[s] + 1) * (kIq1_grid[number] + shift[s]), number of 11 bits, scale of 3 bits.
//
//   offset   bytes
//        0       2  d, half
//        2      32  byte 4 s + g: bits 0-7 of the number of group g's point
// 34 + 2 s       2  uint16: bits 3g .. 3g + 2: bits 8-10 of the number of group g's point (g 0..3),
//                   bits 12-14: scale[s], bit 15: shift[s] is -1/8 instead of 1/8
#include "quant/finite.h"
#include "quant/format.h"
#include "quant/grid_fit.h"
#include "quant/packed.h"

namespace hearth::quant {
namespace {

constexpr size_t kBytes = 50;

void decode(const uint8_t* blocks, size_t values, float* out) {
  for (; values != 0; values -= kSuper_values, blocks += kBytes) {
    const float d = load_half(blocks);
    for (size_t s = 0; s < 8; ++s) {
      const int rest = load<uint16_t>(blocks + 34 + 2 * s);
      const float scale = d * static_cast<float>(2 * (rest >> 12 & 7) + 1);
      const float shift = (rest & 0x8000) != 0 ? -kIq1_shift : kIq1_shift;
      for (size_t g = 0; g < 4; ++g) {
        const size_t number = blocks[2 + 4 * s + g] | (rest >> 3 * g & 7) << 8;
        for (size_t j = 0; j < 8; ++j) *out++ = scale * (static_cast<float>(kIq1_grid[number][j]) + shift);
      }
    }
  }
}

void encode(const float* in, size_t values, const float* importance, uint8_t* blocks) {
  static const ShiftedGroups coder(4);
  for (size_t at = 0; at < values; at += kSuper_values, blocks += kBytes) {
    const Samples samples(in + at, importance != nullptr ? importance + at : nullptr, kSuper_values);
    const GridSuper fit = fit_grid_super(samples, coder, {32, 7, 1});
    store_half(blocks, fit.d);
    for (size_t s = 0; s < 8; ++s) {
      int rest = fit.scales[s] << 12 | fit.codes[s].bits << 15;
      for (size_t g = 0; g < 4; ++g) {
        const int number = fit.codes[s].points[g];
        blocks[2 + 4 * s + g] = static_cast<uint8_t>(number);
        rest |= number >> 8 << 3 * g;
      }
      store(blocks + 34 + 2 * s, static_cast<uint16_t>(rest));
    }
  }
}

const Format kIq1S{"IQ1_S", 19, kSuper_values, kBytes, decode, encode, finite_halves<kBytes, 0>};
const RegisterFormat registered(&kIq1S);

}  // namespace
}  // namespace hearth::quant
