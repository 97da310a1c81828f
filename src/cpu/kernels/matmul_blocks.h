// The 8-bit matmul: weight tiles times quantised activations, for every format that can fill a tile.
//
// A result does not depend on how many activation rows are multiplied together: each is accumulated
// in the same order with the same operations, whichever of the two paths below it takes.
#pragma once

#include "cpu/kernels/matmul_direct.h"
#include "cpu/kernels/matmul_tiled.h"

namespace hearth::cpu {

// Rows [begin, end) of the product; end - begin <= kPanelRows.
template <class V, class Format>
void matmul_blocks(const MatmulArgs& args, uint32_t begin, uint32_t end) {
  uint32_t whole = begin;  // up to here the direct path has done all whole chunks
  // Interleaved rows are unpacked so quickly that a tile is not worth its stores before there are many activations.
  if constexpr (V::kInterleaves) {
    using Interleaved = InterleavedRows<V, Format>;
    const uint32_t interleaved = std::min(end, std::max(begin, args.interleaved_rows));
    const bool few = args.count <= V::kDirectTokens;
    for (; few && whole < interleaved; whole += V::kLanes) multiply_direct<V, Format, Interleaved, 1>(args, whole);
    for (; !few && args.count <= 2 * V::kDirectTokens && whole < interleaved; whole += V::kLanes)
      multiply_direct<V, Format, Interleaved, 2>(args, whole);
    for (; few && whole + V::kLanes <= end; whole += V::kLanes)
      multiply_direct<V, Format, PlainRows<V, Format>, 1>(args, whole);
  }
  if (args.cols % kChunk != 0 && begin < whole) multiply_panel<V, Format>(args, begin, whole, args.cols / kChunk);
  if (whole < end) multiply_panel<V, Format>(args, whole, end, 0);
}

}  // namespace hearth::cpu
