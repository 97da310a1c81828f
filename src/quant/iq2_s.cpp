// IQ2_S: 256 values, 82 bytes; group g (0..31) is values 8 g .. 8 g + 7, sub-block s (0..15) two groups.
// x = d * (2 scale[s] + 1) / 8 * sign * kIq2_s_grid[number], number of 10 bits, scale of 4 bits.
//
//   offset   bytes
//        0       2  d, half
//        2      32  byte g: bits 0-7 of the number of group g's point
//       34      32  byte g: signs of group g, bit j: value j is negative
//       66       8  byte b: bits 8-9 of the number of group 4 b + k in bits 2k, 2k+1 (k 0..3)
//       74       8  byte b: scale[2 b] in bits 0-3, scale[2 b + 1] in bits 4-7
#include "quant/finite.h"
#include "quant/format.h"
#include "quant/grid_fit.h"
#include "quant/packed.h"

namespace hearth::quant {
namespace {

constexpr size_t kBytes = 82;

void decode(const uint8_t* blocks, size_t values, float* out) {
  for (; values != 0; values -= kSuper_values, blocks += kBytes) {
    const float d = load_half(blocks);
    for (size_t g = 0; g < 32; ++g) {
      const float scale = d * (0.5f + static_cast<float>(blocks[74 + g / 4] >> g / 2 % 2 * 4 & 15)) * 0.25f;
      const size_t number = blocks[2 + g] | (blocks[66 + g / 4] >> g % 4 * 2 & 3) << 8;
      for (size_t j = 0; j < 8; ++j) *out++ = scale * with_sign(kIq2_s_grid[number][j], blocks[34 + g], j);
    }
  }
}

void encode(const float* in, size_t values, const float* importance, uint8_t* blocks) {
  static const SignedGroups coder(kIq2_s_grid, SignedGroups::Signs::kFree);
  for (size_t at = 0; at < values; at += kSuper_values, blocks += kBytes) {
    const Samples samples(in + at, importance != nullptr ? importance + at : nullptr, kSuper_values);
    const GridSuper fit = fit_grid_super(samples, coder, {16, 15, 0.125f});
    store_half(blocks, fit.d);
    std::memset(blocks + 66, 0, 8);
    for (size_t g = 0; g < 32; ++g) {
      const GroupCode& code = fit.codes[g];
      blocks[2 + g] = static_cast<uint8_t>(code.points[0]);
      blocks[34 + g] = code.bits;
      blocks[66 + g / 4] = static_cast<uint8_t>(blocks[66 + g / 4] | code.points[0] >> 8 << g % 4 * 2);
    }
    for (size_t b = 0; b < 8; ++b)
      blocks[74 + b] = static_cast<uint8_t>(fit.scales[2 * b] | fit.scales[2 * b + 1] << 4);
  }
}

const Format kIq2S{"IQ2_S", 22, kSuper_values, kBytes, decode, encode, finite_halves<kBytes, 0>, 16};
const RegisterFormat registered(&kIq2S);

}  // namespace
}  // namespace hearth::quant
