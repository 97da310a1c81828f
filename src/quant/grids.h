// The grids of the IQ1, IQ2 and IQ3 formats: a group of values is stored as the number of one point.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace hearth::quant {

template <size_t N, size_t D>
using Grid = std::array<std::array<int8_t, D>, N>;

extern const Grid<2048, 8> kIq1_grid;
extern const Grid<256, 8> kIq2_xxs_grid;
extern const Grid<512, 8> kIq2_xs_grid;
extern const Grid<1024, 8> kIq2_s_grid;
extern const Grid<256, 4> kIq3_xxs_grid;
extern const Grid<512, 4> kIq3_s_grid;

// IQ1: what is added to or subtracted from every coordinate of a point.
inline constexpr float kIq1_shift = 0.125f;

// IQ2_XXS, IQ2_XS and IQ3_XXS store seven of eight signs (bit j set: value j is negative); the number
// of negative values is even, which gives the eighth.
inline uint8_t even_signs(uint32_t seven) {
  seven &= 127;
  return static_cast<uint8_t>(seven | (std::popcount(seven) & 1) << 7);
}

inline float with_sign(int magnitude, uint8_t signs, size_t j) {
  const uint32_t bits = std::bit_cast<uint32_t>(static_cast<float>(magnitude));
  return std::bit_cast<float>(bits ^ static_cast<uint32_t>(signs >> j & 1) << 31);
}

// Points from packed ones: coordinate j is the level whose number is in bits `Bits` j and up.
template <size_t N, size_t D, size_t Bits>
consteval Grid<N, D> unpack_grid(const std::array<uint16_t, N>& packed, const std::array<int8_t, 1 << Bits>& levels) {
  Grid<N, D> grid{};
  for (size_t i = 0; i < N; ++i)
    for (size_t j = 0; j < D; ++j) grid[i][j] = levels[packed[i] >> Bits * j & ((1 << Bits) - 1)];
  return grid;
}

}  // namespace hearth::quant
