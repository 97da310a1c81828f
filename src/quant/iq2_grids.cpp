// The grids of IQ2_XXS, IQ2_XS and IQ2_S: points of eight magnitudes 8, 25 or 43.
//
// The points are data of the format, from ggml's ggml-common.h (iq2xxs_grid, iq2xs_grid, iq2s_grid; MIT licence,
// Copyright (c) 2023-2024 The ggml authors), packed: level of coordinate j in bits 2 j .. 2 j + 1.
#include "quant/grids.h"

namespace hearth::quant {
namespace {

// clang-format off
constexpr std::array<uint16_t, 256> kIq2_xxs_packed{
#include "quant/iq2_xxs_points.inc"
};

constexpr std::array<uint16_t, 512> kIq2_xs_packed{
#include "quant/iq2_xs_points.inc"
};

constexpr std::array<uint16_t, 1024> kIq2_s_packed{
#include "quant/iq2_s_points.inc"
};
// clang-format on

}  // namespace

constinit const Grid<256, 8> kIq2_xxs_grid = unpack_grid<256, 8, 2>(kIq2_xxs_packed, {8, 25, 43});
constinit const Grid<512, 8> kIq2_xs_grid = unpack_grid<512, 8, 2>(kIq2_xs_packed, {8, 25, 43});
constinit const Grid<1024, 8> kIq2_s_grid = unpack_grid<1024, 8, 2>(kIq2_s_packed, {8, 25, 43});

}  // namespace hearth::quant
