// IQ3_XXS: 256 values, 98 bytes; sub-block s (0..7) is values 32 s .. 32 s + 31; point p (0..63) is
// for values 4 p .. 4 p + 3. x = d * (2 scale[s] + 1) / 4 * sign * kIq3_xxs_grid[number], scale of 4 bits.
//
//   offset   bytes
//        0       2  d, half
//        2      64  byte p: number of point p
// 66 + 4 s       4  uint32: bits 7g .. 7g + 6: signs of values 32 s + 8 g + (0..7) (see even_signs), g 0..3,
//                   bits 28-31: scale[s]
#include "quant/finite.h"
#include "quant/format.h"
#include "quant/grid_fit.h"
#include "quant/packed.h"

namespace hearth::quant {
namespace {

constexpr size_t kBytes = 98;

void decode(const uint8_t* blocks, size_t values, float* out) {
  for (; values != 0; values -= kSuper_values, blocks += kBytes) {
    const float d = load_half(blocks);
    for (size_t g = 0; g < 32; ++g) {
      const uint32_t rest = load<uint32_t>(blocks + 66 + 4 * (g / 4));
      const float scale = d * (0.5f + static_cast<float>(rest >> 28)) * 0.5f;
      const uint8_t signs = even_signs(rest >> 7 * (g % 4));
      const uint8_t* numbers = blocks + 2 + 2 * g;
      for (size_t j = 0; j < 8; ++j) *out++ = scale * with_sign(kIq3_xxs_grid[numbers[j / 4]][j % 4], signs, j);
    }
  }
}

void encode(const float* in, size_t values, const float* importance, uint8_t* blocks) {
  static const SignedGroups coder(kIq3_xxs_grid, SignedGroups::Signs::kEven);
  for (size_t at = 0; at < values; at += kSuper_values, blocks += kBytes) {
    const Samples samples(in + at, importance != nullptr ? importance + at : nullptr, kSuper_values);
    const GridSuper fit = fit_grid_super(samples, coder, {32, 15, 0.25f});
    store_half(blocks, fit.d);
    for (size_t s = 0; s < 8; ++s) {
      uint32_t rest = static_cast<uint32_t>(fit.scales[s]) << 28;
      for (size_t g = 0; g < 4; ++g) {
        const GroupCode& code = fit.codes[4 * s + g];
        blocks[2 + 8 * s + 2 * g] = static_cast<uint8_t>(code.points[0]);
        blocks[2 + 8 * s + 2 * g + 1] = static_cast<uint8_t>(code.points[1]);
        rest |= static_cast<uint32_t>(code.bits & 127) << 7 * g;
      }
      store(blocks + 66 + 4 * s, rest);
    }
  }
}

const Format kIq3Xxs{"IQ3_XXS", 18, kSuper_values, kBytes, decode, encode, finite_halves<kBytes, 0>};
const RegisterFormat registered(&kIq3Xxs);

}  // namespace
}  // namespace hearth::quant
