// IQ1_M: 256 values, 56 bytes; group g (0..31) is values 8 g .. 8 g + 7, sub-block s (0..15) two groups.
// x = d * (2 scale[s] + 1) * (kIq1_grid[number] + shift[g]), number of 11 bits, scale of 3 bits.
//
//   offset   bytes
//        0      32  byte g: bits 0-7 of the number of group g's point
//       32      16  for group g the bits 4 (g % 2) .. + 3 of byte g / 2: bits 0-2 of them are bits 8-10 of the
//                   number, bit 3: shift[g] is -1/8 instead of 1/8
// 48 + 2 w       2  uint16 (w 0..3): bits 3k .. 3k + 2: scale[4 w + k] (k 0..3); bits 12-15: bits 4w .. 4w + 3
//                   of d, half
#include "quant/finite.h"
#include "quant/format.h"
#include "quant/grid_fit.h"
#include "quant/packed.h"

namespace hearth::quant {
namespace {

constexpr size_t kBytes = 56;

uint16_t bits_of_d(const uint8_t* block) {
  int bits = 0;
  for (int w = 0; w < 4; ++w) bits |= load<uint16_t>(block + 48 + 2 * w) >> 12 << 4 * w;
  return static_cast<uint16_t>(bits);
}

bool finite(const uint8_t* blocks, size_t count) {
  bool finite = true;
  for (size_t i = 0; i < count; ++i) finite &= finite_half_bits(bits_of_d(blocks + i * kBytes));
  return finite;
}

void decode(const uint8_t* blocks, size_t values, float* out) {
  for (; values != 0; values -= kSuper_values, blocks += kBytes) {
    uint16_t words[4];
    std::memcpy(words, blocks + 48, sizeof words);
    const float d = half_to_float(bits_of_d(blocks));
    for (size_t g = 0; g < 32; ++g) {
      const float scale = d * static_cast<float>(2 * (words[g / 8] >> g / 2 % 4 * 3 & 7) + 1);
      const int rest = blocks[32 + g / 2] >> g % 2 * 4;
      const float shift = (rest & 8) != 0 ? -kIq1_shift : kIq1_shift;
      const size_t number = blocks[g] | (rest & 7) << 8;
      for (size_t j = 0; j < 8; ++j) *out++ = scale * (static_cast<float>(kIq1_grid[number][j]) + shift);
    }
  }
}

void encode(const float* in, size_t values, const float* importance, uint8_t* blocks) {
  static const ShiftedGroups coder(1);
  for (size_t at = 0; at < values; at += kSuper_values, blocks += kBytes) {
    const Samples samples(in + at, importance != nullptr ? importance + at : nullptr, kSuper_values);
    const GridSuper fit = fit_grid_super(samples, coder, {16, 7, 1});
    std::memset(blocks + 32, 0, 16);
    for (size_t g = 0; g < 32; ++g) {
      const int number = fit.codes[g].points[0];
      blocks[g] = static_cast<uint8_t>(number);
      blocks[32 + g / 2] =
          static_cast<uint8_t>(blocks[32 + g / 2] | (number >> 8 | fit.codes[g].bits << 3) << g % 2 * 4);
    }
    const int bits = finite_half(fit.d);
    for (size_t w = 0; w < 4; ++w) {
      int word = (bits >> 4 * w & 15) << 12;
      for (size_t k = 0; k < 4; ++k) word |= fit.scales[4 * w + k] << 3 * k;
      store(blocks + 48 + 2 * w, static_cast<uint16_t>(word));
    }
  }
}

const Format kIq1M{"IQ1_M", 29, kSuper_values, kBytes, decode, encode, finite, 16};
const RegisterFormat registered(&kIq1M);

}  // namespace
}  // namespace hearth::quant
