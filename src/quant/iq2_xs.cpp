// IQ2_XS: 256 values, 74 bytes; group g (0..31) is values 8 g .. 8 g + 7, sub-block s (0..15) two groups.
// x = d * (2 scale[s] + 1) / 8 * sign * kIq2_xs_grid[number], scale of 4 bits.
//
//   offset   bytes
//        0       2  d, half
//  2 + 2 g       2  uint16: bits 0-8: number of group g's point, bits 9-15: its signs (see even_signs)
//       66       8  byte b: scale[2 b] in bits 0-3, scale[2 b + 1] in bits 4-7
#include "quant/finite.h"
#include "quant/format.h"
#include "quant/grid_fit.h"
#include "quant/packed.h"

namespace hearth::quant {
namespace {

constexpr size_t kBytes = 74;

void decode(const uint8_t* blocks, size_t values, float* out) {
  for (; values != 0; values -= kSuper_values, blocks += kBytes) {
    const float d = load_half(blocks);
    for (size_t g = 0; g < 32; ++g) {
      const float scale = d * (0.5f + static_cast<float>(blocks[66 + g / 4] >> g / 2 % 2 * 4 & 15)) * 0.25f;
      const uint32_t code = load<uint16_t>(blocks + 2 + 2 * g);
      const uint8_t signs = even_signs(code >> 9);
      for (size_t j = 0; j < 8; ++j) *out++ = scale * with_sign(kIq2_xs_grid[code & 511][j], signs, j);
    }
  }
}

void encode(const float* in, size_t values, const float* importance, uint8_t* blocks) {
  static const SignedGroups coder(kIq2_xs_grid, SignedGroups::Signs::kEven);
  for (size_t at = 0; at < values; at += kSuper_values, blocks += kBytes) {
    const Samples samples(in + at, importance != nullptr ? importance + at : nullptr, kSuper_values);
    const GridSuper fit = fit_grid_super(samples, coder, {16, 15, 0.125f});
    store_half(blocks, fit.d);
    for (size_t g = 0; g < 32; ++g)
      store(blocks + 2 + 2 * g, static_cast<uint16_t>(fit.codes[g].points[0] | (fit.codes[g].bits & 127) << 9));
    for (size_t b = 0; b < 8; ++b)
      blocks[66 + b] = static_cast<uint8_t>(fit.scales[2 * b] | fit.scales[2 * b + 1] << 4);
  }
}

const Format kIq2Xs{"IQ2_XS", 17, kSuper_values, kBytes, decode, encode, finite_halves<kBytes, 0>, 16};
const RegisterFormat registered(&kIq2Xs);

}  // namespace
}  // namespace hearth::quant
