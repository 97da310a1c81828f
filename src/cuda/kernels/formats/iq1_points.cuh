// The grid of IQ1_S and IQ1_M, and eight times a coordinate with its shift of 1/8.
#pragma once

#include "cuda/kernels/formats/grid_points.cuh"

namespace hearth::cuda {

__device__ const uint16_t kIq1Points[2048] = {
#include "quant/iq1_points.inc"
};

// Coordinates 4 half .. + 3 of a point, times 8, plus 1 or (`minus`) less 1.
__device__ inline uint32_t iq1_codes(uint32_t number, uint32_t half, bool minus) {
  return four_of_four(kIq1Points[number] >> 8 * half, minus ? 0x0007fff7 : 0x000901f9);
}

}  // namespace hearth::cuda
