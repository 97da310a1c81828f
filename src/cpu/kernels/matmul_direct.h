// The path of the 8-bit matmul for few activation rows: what a format unpacks is multiplied in registers.
#pragma once

#include "cpu/kernels/constant.h"
#include "cpu/kernels/matmul_args.h"
#include "cpu/kernels/matmul_dot.h"
#include "cpu/kernels/rows.h"

namespace hearth::cpu {

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

}  // namespace hearth::cpu
