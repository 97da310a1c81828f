// IQ2_XXS: 256 values, 66 bytes; sub-block s (0..7) is values 32 s .. 32 s + 31, four groups of eight.
// x = d * (2 scale[s] + 1) / 8 * sign * kIq2_xxs_grid[number], scale of 4 bits.
//
//   offset   bytes
//        0       2  d, half
//  2 + 8 s       4  byte g (0..3): number of group g's point
//  6 + 8 s       4  uint32: bits 7g .. 7g + 6: signs of group g (see even_signs), bits 28-31: scale[s]
#include "quant/finite.h"
#include "quant/format.h"
#include "quant/grid_fit.h"
#include "quant/packed.h"

namespace hearth::quant {
namespace {

constexpr size_t kBytes = 66;

void decode(const uint8_t* blocks, size_t values, float* out) {
  for (; values != 0; values -= kSuper_values, blocks += kBytes) {
    const float d = load_half(blocks);
    for (size_t s = 0; s < 8; ++s) {
      const uint8_t* numbers = blocks + 2 + 8 * s;
      const uint32_t rest = load<uint32_t>(numbers + 4);
      const float scale = d * (0.5f + static_cast<float>(rest >> 28)) * 0.25f;
      for (size_t g = 0; g < 4; ++g) {
        const uint8_t signs = even_signs(rest >> 7 * g);
        for (size_t j = 0; j < 8; ++j) *out++ = scale * with_sign(kIq2_xxs_grid[numbers[g]][j], signs, j);
      }
    }
  }
}

void encode(const float* in, size_t values, const float* importance, uint8_t* blocks) {
  static const SignedGroups coder(kIq2_xxs_grid, SignedGroups::Signs::kEven);
  for (size_t at = 0; at < values; at += kSuper_values, blocks += kBytes) {
    const Samples samples(in + at, importance != nullptr ? importance + at : nullptr, kSuper_values);
    const GridSuper fit = fit_grid_super(samples, coder, {32, 15, 0.125f});
    store_half(blocks, fit.d);
    for (size_t s = 0; s < 8; ++s) {
      uint32_t rest = static_cast<uint32_t>(fit.scales[s]) << 28;
      for (size_t g = 0; g < 4; ++g) {
        const GroupCode& code = fit.codes[4 * s + g];
        blocks[2 + 8 * s + g] = static_cast<uint8_t>(code.points[0]);
        rest |= static_cast<uint32_t>(code.bits & 127) << 7 * g;
      }
      store(blocks + 6 + 8 * s, rest);
    }
  }
}

const Format kIq2Xxs{"IQ2_XXS", 16, kSuper_values, kBytes, decode, encode, finite_halves<kBytes, 0>};
const RegisterFormat registered(&kIq2Xxs);

}  // namespace
}  // namespace hearth::quant
