// The 8-bit matmul: weight tiles times quantised activations, for every format that can fill a tile.
//
// A result does not depend on how many activation rows are multiplied together: each is accumulated
// in the same order with the same operations, whichever of the two paths below it takes.
#pragma once

#include <algorithm>
#include <bit>
#include <cstring>

#include "cpu/kernels/constant.h"
#include "cpu/kernels/matmul_args.h"
#include "cpu/kernels/rows.h"
#include "cpu/kernels/tile.h"

namespace hearth::cpu {

// Where the integer sum of one group of columns starts: at 0, or at what undoes the offset.
template <class V, TileKind kKind>
[[gnu::always_inline]] inline typename V::I dot_start(const QuantBlock& block, int group) {
  if (kKind.has_minimum() || (kKind.is_signed() && !V::kBiased)) return V::zero_int();
  const int32_t& bias = kKind.group == 32 ? block.bias : group == 0 ? block.bias_low : block.bias_high;
  constexpr int kShift = std::countr_zero(128u / std::max(1u, unsigned{kKind.offset}));
  return V::template shr_signed<kShift>(V::set_int(static_cast<uint32_t>(bias)));
}

// The integer dot product of one group of columns, quad by quad in order. Where the instruction set adds in
// 16 bits first, as many quads are added there as cannot overflow (|activation| <= 127, two products a lane).
template <class V, TileKind kKind>
class Dot {
 public:
  using I = typename V::I;

  // `values`: the four activations of the quad in every lane, or where they are in memory.
  template <class Values>
  [[gnu::always_inline]] void add(const QuantBlock& block, int group, int quad, I weights, Values values) {
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
    for (int t = 0; t < T; ++t) dots_[block][g][t].add(in_[t][block], g, quad % kQuads, x, in_[t][block].q + 4 * quad);
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

template <class Format>
inline constexpr int kBlocksOfChunk = static_cast<int>(kChunk / Format::kBlockValues);
template <class Format>
inline constexpr int kChunkBytes = static_cast<int>(kChunk / Format::kBlockValues * Format::kBlockBytes);

// sum[t] += one chunk of one vector of rows, times T activation rows. Meanwhile kLines cache lines are fetched.
template <class V, class Format, class Rows, int T, int kLines>
[[gnu::noinline]] void multiply_chunk(const Rows& rows, const QuantBlock* const* in, size_t in_offset,
                                      const uint8_t* next, typename V::F* sums) {
  typename V::F sum[T];
#pragma GCC unroll 8
  for (int t = 0; t < T; ++t) sum[t] = sums[t];
  DirectTile<V, Format::kKind, T> tile(in, in_offset, sum);
  FetchingSink<V, decltype(tile), kLines> sink(tile, next);
  Format::template unpack<V>(rows, kChunkBlocks, sink);
#pragma GCC unroll 8
  for (int t = 0; t < T; ++t) sums[t] = sum[t];
}

// All whole chunks of one vector of rows times all activation rows, a few of these at a time.
template <class V, class Format, class Rows, int kParts>
void multiply_direct(const MatmulArgs& args, uint32_t begin) {
  constexpr int kFetchedBytes = static_cast<int>(Rows::kFetchedRows) * kChunkBytes<Format>;
  constexpr int kLines = kFetchedBytes / kLine_bytes / kParts;
  using Multiply = void (*)(const Rows&, const QuantBlock* const*, size_t, const uint8_t*, typename V::F*);
  Multiply multiply[kParts];
  uint32_t first[kParts + 1] = {};
  for (uint32_t p = 0; p < kParts; ++p) {
    const uint32_t tokens = (args.count - first[p] + kParts - p - 1) / (kParts - p);
    with_constant<V::kDirectTokens>(static_cast<int>(tokens),
                                    [&]<int T>() { multiply[p] = multiply_chunk<V, Format, Rows, T, kLines>; });
    first[p + 1] = first[p] + tokens;
  }
  typename V::F sums[kParts * V::kDirectTokens];
  for (uint32_t t = 0; t < args.count; ++t) sums[t] = V::load(args.out[t] + begin);
  const auto rows = Rows::of(args.weight, args.row_bytes, begin);
  const uint8_t* next = Rows::ahead(args, begin);
  for (int c = 0; c < static_cast<int>(args.cols / kChunk); ++c, next += kFetchedBytes)
    for (int p = 0; p < kParts; ++p)
      multiply[p](rows.at(c * kBlocksOfChunk<Format>), args.blocks + first[p], static_cast<size_t>(c) * kChunkBlocks,
                  next + p * kLines * kLine_bytes, sums + first[p]);
  for (uint32_t t = 0; t < args.count; ++t) V::store(args.out[t] + begin, sums[t]);
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

// Rows [begin, end) from column chunk `first_chunk` on, through tiles in memory; count <= kPanelTokens.
template <class V, class Format>
void multiply_tiled(const MatmulArgs& args, uint32_t begin, uint32_t end, uint32_t first_chunk) {
  using Plain = PlainRows<V, Format>;
  constexpr TileKind kKind = Format::kKind;
  constexpr int kLanes = V::kLanes;
  Tile<V, kKind> tiles[static_cast<int>(kPanelRows) / kLanes];
  alignas(64) uint8_t staged[kLanes * kChunkBytes<Format>];
  // The results' own rows are apart by large powers of two: they would compete for the same few places of the caches.
  alignas(64) PanelSums sums;
  for (uint32_t t = 0; t < args.count; ++t) std::copy(args.out[t] + begin, args.out[t] + end, sums[t]);

  const int vectors = static_cast<int>((end - begin + kLanes - 1) / kLanes);
  const int last_lanes = static_cast<int>(end - begin) - (vectors - 1) * kLanes;
  const int count = static_cast<int>(args.count);
  const int parts = (count + V::kTileTokens - 1) / V::kTileTokens;
  // A third of what the next panel needs is fetched while a tile is filled, the rest while it is multiplied first.
  constexpr int kLines = V::kLanes * kChunkBytes<Format> / kLine_bytes, kEarly = kLines / 3;
  constexpr int kLate = (kLines - kEarly + kChunkBlocks - 1) / kChunkBlocks;  // with each block
  const uint8_t* next = rows_after(args, end, end - begin);
  for (uint32_t column = first_chunk * kChunk; column < args.cols; column += kChunk) {
    const uint32_t columns = std::min(kChunk, args.cols - column);
    const int blocks = static_cast<int>(columns / kBlock);
    const int block = static_cast<int>(column / Format::kBlockValues);
    for (int v = 0; v < vectors; ++v) {
      const uint32_t row = begin + static_cast<uint32_t>(v * kLanes);
      FetchingSink<V, Tile<V, kKind>, kEarly> sink(tiles[v], next + v * kEarly * kLine_bytes);
      if constexpr (V::kInterleaves) {
        if (row < args.interleaved_rows) {
          Format::template unpack<V>(InterleavedRows<V, Format>::of(args.weight, args.row_bytes, row).at(block), blocks,
                                     sink);
          continue;
        }
      }
      const bool whole = v < vectors - 1 || last_lanes == kLanes;
      if (!whole) stage<Format>(args, row, last_lanes, column, columns, staged);
      Format::template unpack<V>(
          whole ? Plain::of(args.weight, args.row_bytes, row).at(block) : Plain(staged, kChunkBytes<Format>), blocks,
          sink);
    }
    for (int part = 0, t = 0; part < parts; ++part) {
      const int tokens = (count - t + parts - part - 1) / (parts - part);
      with_constant<V::kTileTokens>(tokens, [&]<int T>() {
        const size_t in_offset = column / kBlock;
        for (int v = 0; v < vectors; v += 2) {
          const uint8_t* late = next + (vectors * kEarly + v * kLate * kChunkBlocks) * kLine_bytes;
          const auto multiply = [&]<int R>() {
            multiply_tiles<V, kKind, R, T>(&tiles[v], blocks, args.blocks + t, in_offset, sums[t] + v * kLanes, late,
                                           part == 0 ? R * kLate : 0);
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
  for (uint32_t t = 0; t < args.count; ++t) std::copy_n(sums[t], end - begin, args.out[t] + begin);
}

template <class V, class Format>
void multiply_panel(const MatmulArgs& args, uint32_t begin, uint32_t end, uint32_t first_chunk) {
  MatmulArgs part = args;
  for (uint32_t left = args.count; left > 0; left -= part.count, part.blocks += part.count, part.out += part.count) {
    part.count = std::min(left, kPanelTokens);
    multiply_tiled<V, Format>(part, begin, end, first_chunk);
  }
}

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
