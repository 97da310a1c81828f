// The path of the 8-bit matmul for many activation rows: weights are unpacked to tiles once, for all of them.
#pragma once

#include <algorithm>
#include <cstring>

#include "cpu/kernels/constant.h"
#include "cpu/kernels/matmul_args.h"
#include "cpu/kernels/matmul_dot.h"
#include "cpu/kernels/rows.h"

namespace hearth::cpu {

// Sums of a panel: [activation row][kPanelRows].
inline constexpr uint32_t kPanelTokens = 192;
using PanelSums = float[kPanelTokens][kPanelRows];

// sums[t][lane] += tiles x in, for R vectors of rows and T activation rows. Meanwhile `lines` cache lines are fetched
// for each block, from `next` on.
template <class V, TileKind kKind, int R, int T>
[[gnu::noinline]] void multiply_tiles(const Tile<V, kKind>* tiles, int blocks, const QuantBlock* const* in,
                                      size_t in_offset, float* sums, const uint8_t* next, int lines) {
  using F = typename V::F;
  using I = typename V::I;
  using TileType = Tile<V, kKind>;
  constexpr int kQuads = TileType::kQuads / TileType::kGroups;
  const QuantBlock* a[T];
  F sum[R][T];
#pragma GCC unroll 8
  for (int t = 0; t < T; ++t) {
    a[t] = in[t] + in_offset;
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) sum[r][t] = V::load(sums + t * int{kPanelRows} + r * V::kLanes);
  }
  for (int b = 0; b < blocks; ++b) {
    for (int line = 0; line < lines; ++line, next += kLine_bytes) __builtin_prefetch(next, 0, 3);
#pragma GCC unroll 2
    for (int g = 0; g < TileType::kGroups; ++g) {
      Dot<V, kKind> dots[R][T];
#pragma GCC unroll 8
      for (int quad = 0; quad < kQuads; ++quad) {
        I w[R];
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) w[r] = V::load_int(tiles[r].q[b][g * kQuads + quad]);
#pragma GCC unroll 8
        for (int t = 0; t < T; ++t) {
          const I x = V::broadcast4(a[t][b].q + 4 * (g * kQuads + quad));
#pragma GCC unroll 8
          for (int r = 0; r < R; ++r) dots[r][t].add(a[t][b], g, quad, w[r], x);
        }
      }
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const F scale = V::load(tiles[r].scale[b][g]);
#pragma GCC unroll 8
        for (int t = 0; t < T; ++t)
          sum[r][t] = V::fma(V::to_float(dots[r][t].sum()), V::mul(scale, V::set(a[t][b].scale)), sum[r][t]);
        if constexpr (kKind.has_minimum()) {
          const F minimum = V::load(tiles[r].minimum[b][g]);
#pragma GCC unroll 8
          for (int t = 0; t < T; ++t) sum[r][t] = V::fnma(minimum, V::set(block_sum<kKind>(a[t][b], g)), sum[r][t]);
        }
      }
    }
  }
#pragma GCC unroll 8
  for (int t = 0; t < T; ++t)
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) V::store(sums + t * int{kPanelRows} + r * V::kLanes, sum[r][t]);
}

// Copies `columns` columns from `column` on of the last rows, which are fewer than a vector has.
template <class Format, size_t kBytes>
void stage(const MatmulArgs& args, uint32_t first, int rows, uint32_t column, uint32_t columns,
           uint8_t (&staged)[kBytes]) {
  std::memset(staged, 0, kBytes);
  const uint8_t* from = args.weight + first * args.row_bytes + column / Format::kBlockValues * Format::kBlockBytes;
  for (int r = 0; r < rows; ++r, from += args.row_bytes)
    std::memcpy(staged + r * kChunkBytes<Format>, from, columns / Format::kBlockValues * Format::kBlockBytes);
}

// How many cache lines of the next panel are fetched meanwhile: a third of what it needs while a tile is filled, the
// rest while it is multiplied first.
template <class V, class Format>
struct PanelLines {
  static constexpr int kAll = V::kLanes * kChunkBytes<Format> / kLine_bytes, kEarly = kAll / 3;
  static constexpr int kLate = (kAll - kEarly + kChunkBlocks - 1) / kChunkBlocks;  // with each block
};

// Unpacks up to kChunk columns from `column` on of the vector of rows from `row` on, of which there are `lanes`.
template <class V, class Format>
[[gnu::always_inline]] inline void fill_tile(const MatmulArgs& args, uint32_t row, int lanes, uint32_t column,
                                             const uint8_t* next, Tile<V, Format::kKind>& tile) {
  using Plain = PlainRows<V, Format>;
  const uint32_t columns = std::min(kChunk, args.cols - column);
  const int blocks = static_cast<int>(columns / kBlock);
  const int block = static_cast<int>(column / Format::kBlockValues);
  FetchingSink<V, Tile<V, Format::kKind>, PanelLines<V, Format>::kEarly> sink(tile, next);
  if constexpr (V::kInterleaves) {
    if (row < args.interleaved_rows) {
      const auto rows = InterleavedRows<V, Format>::of(args.weight, args.row_bytes, row);
      Format::template unpack<V>(rows.at(block), blocks, sink);
      return;
    }
  }
  alignas(64) uint8_t staged[V::kLanes * kChunkBytes<Format>];
  const bool whole = lanes == V::kLanes;
  if (!whole) stage<Format>(args, row, lanes, column, columns, staged);
  Format::template unpack<V>(
      whole ? Plain::of(args.weight, args.row_bytes, row).at(block) : Plain(staged, kChunkBytes<Format>), blocks, sink);
}

// sums += the tiles of `vectors` vectors of rows times all activation rows, which are shared out evenly among as few
// passes as registers allow.
template <class V, class Format>
[[gnu::always_inline]] inline void multiply_rows(const MatmulArgs& args, const Tile<V, Format::kKind>* tiles,
                                                 int vectors, uint32_t column, const uint8_t* next, PanelSums& sums) {
  constexpr int kLate = PanelLines<V, Format>::kLate;
  const int count = static_cast<int>(args.count), parts = (count + V::kTileTokens - 1) / V::kTileTokens;
  const int blocks = static_cast<int>(std::min(kChunk, args.cols - column) / kBlock);
  const size_t in_offset = column / kBlock;
  for (int part = 0, t = 0; part < parts; ++part) {
    const int tokens = (count - t + parts - part - 1) / (parts - part);
    with_constant<V::kTileTokens>(tokens, [&]<int T>() {
      for (int v = 0; v < vectors; v += 2) {
        const uint8_t* late = next + v * kLate * kChunkBlocks * kLine_bytes;
        const auto multiply = [&]<int R>() {
          multiply_tiles<V, Format::kKind, R, T>(&tiles[v], blocks, args.blocks + t, in_offset, sums[t] + v * V::kLanes,
                                                 late, part == 0 ? R * kLate : 0);
        };
        if (v + 1 < vectors)
          multiply.template operator()<2>();
        else
          multiply.template operator()<1>();
      }
    });
    t += tokens;
  }
}

// Rows [begin, end) from column chunk `first_chunk` on, through tiles in memory; count <= kPanelTokens.
template <class V, class Format>
void multiply_tiled(const MatmulArgs& args, uint32_t begin, uint32_t end, uint32_t first_chunk) {
  using Lines = PanelLines<V, Format>;
  constexpr int kLanes = V::kLanes;
  Tile<V, Format::kKind> tiles[static_cast<int>(kPanelRows) / kLanes];
  // The results' own rows are apart by large powers of two: they would compete for the same few places of the caches.
  alignas(64) PanelSums sums;
  for (uint32_t t = 0; t < args.count; ++t) std::copy(args.out[t] + begin, args.out[t] + end, sums[t]);
  const int rows = static_cast<int>(end - begin), vectors = (rows + kLanes - 1) / kLanes;
  const uint8_t* next = rows_after(args, end, end - begin);
  for (uint32_t column = first_chunk * kChunk; column < args.cols; column += kChunk) {
    for (int v = 0; v < vectors; ++v)
      fill_tile<V, Format>(args, begin + static_cast<uint32_t>(v * kLanes), std::min(kLanes, rows - v * kLanes), column,
                           next + v * Lines::kEarly * kLine_bytes, tiles[v]);
    multiply_rows<V, Format>(args, tiles, vectors, column, next + vectors * Lines::kEarly * kLine_bytes, sums);
    next += vectors * Lines::kAll * kLine_bytes;
  }
  for (uint32_t t = 0; t < args.count; ++t) std::copy_n(sums[t], end - begin, args.out[t] + begin);
}

// The same for any number of activation rows.
template <class V, class Format>
void multiply_panel(const MatmulArgs& args, uint32_t begin, uint32_t end, uint32_t first_chunk) {
  MatmulArgs part = args;
  for (uint32_t left = args.count; left > 0; left -= part.count, part.blocks += part.count, part.out += part.count) {
    part.count = std::min(left, kPanelTokens);
    multiply_tiled<V, Format>(part, begin, end, first_chunk);
  }
}

}  // namespace hearth::cpu
