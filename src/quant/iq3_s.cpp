// IQ3_S: 256 values, 110 bytes; sub-block s (0..7) is values 32 s .. 32 s + 31; point p (0..63) is for
// values 4 p .. 4 p + 3. x = d * (2 scale[s] + 1) * sign * kIq3_s_grid[number], number of 9 bits, scale of 4.
//
//   offset   bytes
//        0       2  d, half
//        2      64  byte p: bits 0-7 of the number of point p
//       66       8  byte s: bit k is bit 8 of the number of point 8 s + k (k 0..7)
//       74      32  byte g: signs of values 8 g + j, bit j: value is negative
//      106       4  byte b: scale[2 b] in bits 0-3, scale[2 b + 1] in bits 4-7
#include "quant/finite.h"
#include "quant/format.h"
#include "quant/grid_fit.h"
#include "quant/packed.h"

namespace hearth::quant {
namespace {

constexpr size_t kBytes = 110;

void decode(const uint8_t* blocks, size_t values, float* out) {
  for (; values != 0; values -= kSuper_values, blocks += kBytes) {
    const float d = load_half(blocks);
    for (size_t p = 0; p < 64; ++p) {
      const float scale = d * static_cast<float>(1 + 2 * (blocks[106 + p / 16] >> p / 8 % 2 * 4 & 15));
      const size_t number = blocks[2 + p] | (blocks[66 + p / 8] >> p % 8 & 1) << 8;
      const uint8_t signs = static_cast<uint8_t>(blocks[74 + p / 2] >> p % 2 * 4);
      for (size_t j = 0; j < 4; ++j) *out++ = scale * with_sign(kIq3_s_grid[number][j], signs, j);
    }
  }
}

void encode(const float* in, size_t values, const float* importance, uint8_t* blocks) {
  static const SignedGroups coder(kIq3_s_grid, SignedGroups::Signs::kFree);
  for (size_t at = 0; at < values; at += kSuper_values, blocks += kBytes) {
    const Samples samples(in + at, importance != nullptr ? importance + at : nullptr, kSuper_values);
    const GridSuper fit = fit_grid_super(samples, coder, {32, 15, 1});
    store_half(blocks, fit.d);
    std::memset(blocks + 66, 0, 8);
    for (size_t p = 0; p < 64; ++p) {
      const int number = fit.codes[p / 2].points[p % 2];
      blocks[2 + p] = static_cast<uint8_t>(number);
      blocks[66 + p / 8] = static_cast<uint8_t>(blocks[66 + p / 8] | number >> 8 << p % 8);
    }
    for (size_t g = 0; g < 32; ++g) blocks[74 + g] = fit.codes[g].bits;
    for (size_t b = 0; b < 4; ++b)
      blocks[106 + b] = static_cast<uint8_t>(fit.scales[2 * b] | fit.scales[2 * b + 1] << 4);
  }
}

const Format kIq3S{"IQ3_S", 21, kSuper_values, kBytes, decode, encode, finite_halves<kBytes, 0>};
const RegisterFormat registered(&kIq3S);

}  // namespace
}  // namespace hearth::quant
