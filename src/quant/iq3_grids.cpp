// The grids of IQ3_XXS and IQ3_S: points of four magnitudes.
//
// The points are data of the format, from ggml's ggml-common.h (iq3xxs_grid, iq3s_grid; MIT licence, Copyright (c)
// 2023-2024 The ggml authors), packed: level of coordinate j in bits 3 j .. 3 j + 2.
#include "quant/grids.h"

namespace hearth::quant {
namespace {

// clang-format off
constexpr std::array<uint16_t, 256> kIq3_xxs_packed{
#include "quant/iq3_xxs_points.inc"
};

constexpr std::array<uint16_t, 512> kIq3_s_packed{
#include "quant/iq3_s_points.inc"
};
// clang-format on

}  // namespace

constinit const Grid<256, 4> kIq3_xxs_grid = unpack_grid<256, 4, 3>(kIq3_xxs_packed, {4, 12, 20, 28, 36, 44, 52, 62});
constinit const Grid<512, 4> kIq3_s_grid = unpack_grid<512, 4, 3>(kIq3_s_packed, {1, 3, 5, 7, 9, 11, 13, 15});

}  // namespace hearth::quant
