// The 8-bit matmul: weight tiles times quantised activations, for every format that can fill a tile.
//
// A result does not depend on how many activation rows are multiplied together: each is accumulated
// in the same order with the same operations, whichever of the two paths below it takes.
#pragma once

#include <algorithm>
#include <cstring>

#include "cpu/kernels/constant.h"
#include "cpu/kernels/matmul_args.h"
#include "cpu/kernels/tile.h"

namespace hearth::cpu {

// Where the integer sum of one group of columns starts: at 0, or at what undoes the offset.
template <class V, TileKind kKind>
[[gnu::always_inline]] inline typename V::I dot_start(const QuantBlock& block, int group) {
  if (kKind.has_minimum() || (kKind.is_signed() && !V::kBiased)) return V::zero_int();
  const int32_t bias = kKind.group == 32 ? block.bias : group == 0 ? block.bias_low : block.bias_high;
  return V::set_int(static_cast<uint32_t>(bias / (128 / kKind.offset)));
}

// The integer dot product of one group of columns, quad by quad in order. Where the instruction set adds in
// 16 bits first, as many quads are added there as cannot overflow (|activation| <= 127, two products a lane).
template <class V, TileKind kKind>
class Dot {
 public:
  using I = typename V::I;

  [[gnu::always_inline]] void add(const QuantBlock& block, int group, int quad, I weights, I values) {
    if (quad == 0) sum_ = dot_start<V, kKind>(block, group);
    if constexpr (V::kShortSums) {
      const I products =
          kKind.is_signed() ? V::short_products_signed(weights, values) : V::short_products(weights, values);
      shorts_ = quad % kShortQuads == 0 ? products : V::add_shorts(shorts_, products);
      if (quad % kShortQuads == kShortQuads - 1) sum_ = V::add_pairs(sum_, shorts_);
    } else {
      sum_ = kKind.is_signed() ? V::dot_signed(sum_, weights, values) : V::dot_unsigned(sum_, weights, values);
    }
  }
  [[gnu::always_inline]] I sum() const { return sum_; }

 private:
  static constexpr int kFitting = INT16_MAX / (2 * 127 * kKind.largest);
  static constexpr int kShortQuads = kFitting >= 8 && kKind.group == 32 ? 8 : kFitting >= 4 ? 4 : kFitting >= 2 ? 2 : 1;
  static_assert(kFitting >= 1);

  I sum_, shorts_;
};

template <TileKind kKind>
inline float block_sum(const QuantBlock& block, int group) {
  return kKind.group == 32 ? block.sum : group == 0 ? block.sum_low : block.sum_high;
}

// What is worth fetching while rows before `row` are multiplied: the next `count` rows, or the last ones again.
inline const uint8_t* rows_after(const MatmulArgs& args, uint32_t row, uint32_t count) {
  return args.weight + std::min(row, args.rows - std::min(args.rows, count)) * args.row_bytes;
}

// out[t][lane] += tiles x in, for R vectors of rows and T activation rows. Meanwhile `lines` cache lines are fetched
// for each block, from `next` on.
template <class V, TileKind kKind, int R, int T>
[[gnu::noinline]] void multiply_tiles(const Tile<V, kKind>* tiles, int blocks, const QuantBlock* const* in,
                                      size_t in_offset, float* const* out, size_t out_offset, int last_lanes,
                                      const uint8_t* next, int lines) {
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
    for (int r = 0; r < R; ++r) {
      const float* at = out[t] + out_offset + r * V::kLanes;
      sum[r][t] = r == R - 1 && last_lanes < V::kLanes ? V::load_n(at, last_lanes) : V::load(at);
    }
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
    for (int r = 0; r < R; ++r) {
      float* at = out[t] + out_offset + r * V::kLanes;
      if (r == R - 1 && last_lanes < V::kLanes)
        V::store_n(at, sum[r][t], last_lanes);
      else
        V::store(at, sum[r][t]);
    }
}

// Takes what a format unpacks, like a Tile, and multiplies it at once: no tile in memory. A block is added to `sum` as
// soon as it is whole; formats give the quads of a block in order, its scales before, and complete the blocks in order.
template <class V, TileKind kKind, int T>
class DirectTile {
 public:
  using F = typename V::F;
  using I = typename V::I;

  [[gnu::always_inline]] DirectTile(const QuantBlock* const* in, size_t offset, F* sum) : sum_(sum) {
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) in_[t] = in[t] + offset;
  }
  [[gnu::always_inline]] void put(int block, int quad, I x) {
    const int g = quad / kQuads;
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t)
      dots_[block][g][t].add(in_[t][block], g, quad % kQuads, x, V::broadcast4(in_[t][block].q + 4 * quad));
    if (quad == kGroups * kQuads - 1) finish(block);
  }
  [[gnu::always_inline]] void put_scale(int block, int g, F x) {
    scale_[block][g] = x;
  }
  [[gnu::always_inline]] void put_minimum(int block, int g, F x) {
    minimum_[block][g] = x;
  }

 private:
  static constexpr int kGroups = static_cast<int>(kBlock) / kKind.group;
  static constexpr int kQuads = static_cast<int>(kBlock) / 4 / kGroups;  // per group

  [[gnu::always_inline]] void finish(int b) {
#pragma GCC unroll 2
    for (int g = 0; g < kGroups; ++g)
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) {
        sum_[t] = V::fma(V::to_float(dots_[b][g][t].sum()), V::mul(scale_[b][g], V::set(in_[t][b].scale)), sum_[t]);
        if constexpr (kKind.has_minimum())
          sum_[t] = V::fnma(minimum_[b][g], V::set(block_sum<kKind>(in_[t][b], g)), sum_[t]);
      }
  }

  F* sum_;
  const QuantBlock* in_[T];
  Dot<V, kKind> dots_[kChunkBlocks][kGroups][T];
  F scale_[kChunkBlocks][kGroups], minimum_[kChunkBlocks][kGroups];
};

// One vector of rows, all whole chunks of it, times T activation rows. Meanwhile the next rows are
// fetched: hardware prefetchers do not follow as many streams as a tile has rows.
template <class V, class Format, int T>
[[gnu::noinline]] void multiply_direct(const MatmulArgs& args, uint32_t begin) {
  constexpr int kChunkBytes = static_cast<int>(kChunk / Format::kBlockValues * Format::kBlockBytes);
  const uint8_t* rows = args.weight + begin * args.row_bytes;
  const uint8_t* next = rows_after(args, begin + V::kLanes, V::kLanes);
  typename V::F sum[T];
#pragma GCC unroll 8
  for (int t = 0; t < T; ++t) sum[t] = V::load(args.out[t] + begin);
  for (uint32_t c = 0; c < args.cols / kChunk; ++c, rows += kChunkBytes, next += V::kLanes * kChunkBytes) {
    DirectTile<V, Format::kKind, T> tile(args.blocks, size_t{c} * kChunkBlocks, sum);
    FetchingSink<V, decltype(tile), V::kLanes * kChunkBytes / kLine_bytes> sink(tile, next);
    Format::template unpack<V>(rows, args.row_bytes, kChunkBlocks, sink);
  }
#pragma GCC unroll 8
  for (int t = 0; t < T; ++t) V::store(args.out[t] + begin, sum[t]);
}

// Rows [begin, end) from column chunk `first_chunk` on, through tiles in memory.
template <class V, class Format>
void multiply_panel(const MatmulArgs& args, uint32_t begin, uint32_t end, uint32_t first_chunk) {
  constexpr TileKind kKind = Format::kKind;
  constexpr int kLanes = V::kLanes;
  constexpr int kChunkBytes = static_cast<int>(kChunk / Format::kBlockValues * Format::kBlockBytes);
  Tile<V, kKind> tiles[static_cast<int>(kPanelRows) / kLanes];
  alignas(64) uint8_t staged[kLanes * kChunkBytes];

  const int vectors = static_cast<int>((end - begin + kLanes - 1) / kLanes);
  const int last_lanes = static_cast<int>(end - begin) - (vectors - 1) * kLanes;
  const int count = static_cast<int>(args.count);
  const int parts = (count + V::kTileTokens - 1) / V::kTileTokens;
  // A third of what the next panel needs is fetched while a tile is filled, the rest while it is multiplied first.
  constexpr int kLines = V::kLanes * kChunkBytes / kLine_bytes, kEarly = kLines / 3;
  constexpr int kLate = (kLines - kEarly + kChunkBlocks - 1) / kChunkBlocks;  // with each block
  const uint8_t* next = rows_after(args, end, end - begin);
  for (uint32_t column = first_chunk * kChunk; column < args.cols; column += kChunk) {
    const uint32_t columns = std::min(kChunk, args.cols - column);
    const int blocks = static_cast<int>(columns / kBlock);
    for (int v = 0; v < vectors; ++v) {
      const uint8_t* base = args.weight + (begin + static_cast<size_t>(v * kLanes)) * args.row_bytes +
                            size_t{column} / Format::kBlockValues * Format::kBlockBytes;
      size_t stride = args.row_bytes;
      if (v == vectors - 1 && last_lanes < kLanes) {  // copy the rows that exist; the others are not stored
        std::memset(staged, 0, sizeof staged);
        for (size_t r = 0; r < static_cast<size_t>(last_lanes); ++r)
          std::memcpy(staged + r * size_t{kChunkBytes}, base + r * stride,
                      columns / Format::kBlockValues * Format::kBlockBytes);
        base = staged;
        stride = kChunkBytes;
      }
      FetchingSink<V, Tile<V, kKind>, kEarly> sink(tiles[v], next + v * kEarly * kLine_bytes);
      Format::template unpack<V>(base, stride, blocks, sink);
    }
    for (int part = 0, t = 0; part < parts; ++part) {
      const int tokens = (count - t + parts - part - 1) / (parts - part);
      with_constant<V::kTileTokens>(tokens, [&]<int T>() {
        const size_t in_offset = column / kBlock;
        for (int v = 0; v < vectors; v += 2) {
          const size_t out_offset = begin + static_cast<size_t>(v * kLanes);
          const int lanes = v + 2 >= vectors ? last_lanes : kLanes;
          const uint8_t* late = next + (vectors * kEarly + v * kLate * kChunkBlocks) * kLine_bytes;
          const auto multiply = [&]<int R>() {
            multiply_tiles<V, kKind, R, T>(&tiles[v], blocks, args.blocks + t, in_offset, args.out + t, out_offset,
                                           lanes, late, part == 0 ? R * kLate : 0);
          };
          if (v + 1 < vectors)
            multiply.template operator()<2>();
          else
            multiply.template operator()<1>();
        }
      });
      t += tokens;
    }
    next += vectors * kLines * kLine_bytes;
  }
}

// Rows [begin, end) of the product; end - begin <= kPanelRows.
template <class V, class Format>
void matmul_blocks(const MatmulArgs& args, uint32_t begin, uint32_t end) {
  uint32_t whole = begin;  // up to here the direct path has done all whole chunks
  if constexpr (V::kDirectTokens > 0) {
    if (args.count <= static_cast<uint32_t>(V::kDirectTokens)) {
      whole += (end - begin) / V::kLanes * V::kLanes;
      with_constant<V::kDirectTokens>(static_cast<int>(args.count), [&]<int T>() {
        for (uint32_t r = begin; r < whole; r += V::kLanes) multiply_direct<V, Format, T>(args, r);
      });
      if (args.cols % kChunk != 0 && begin < whole) multiply_panel<V, Format>(args, begin, whole, args.cols / kChunk);
    }
  }
  if (whole < end) multiply_panel<V, Format>(args, whole, end, 0);
}

}  // namespace hearth::cpu
