// The grid of IQ1_S and IQ1_M: 2048 points of eight coordinates -1, 0 or 1.
//
// The points are data of the format, from ggml's ggml-common.h (iq1s_grid; MIT licence, Copyright (c)
// 2023-2024 The ggml authors), packed: level of coordinate j in bits 2 j .. 2 j + 1.
#include "quant/grids.h"

namespace hearth::quant {
namespace {

// clang-format off
constexpr std::array<uint16_t, 2048> kIq1_packed{
#include "quant/iq1_points.inc"
};
// clang-format on

}  // namespace

constinit const Grid<2048, 8> kIq1_grid = unpack_grid<2048, 8, 2>(kIq1_packed, {-1, 0, 1});

}  // namespace hearth::quant
