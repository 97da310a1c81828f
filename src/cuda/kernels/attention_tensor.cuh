// Attention on tensor cores: f16 and q8_0 caches, key and value sizes that are multiples of 16, up to 256. Queries
// and weights are rounded to halves, sums are float32.
//
// Two kernels, for rows in chunks (prompts) and for single ones (generation), with the same sums in the same order,
// which splits.h asks for. Of a row, over its splits in order:
//   scores of a page     one chain of matrix products over the dimensions
//   weights              e^(score - highest score of the split), as halves
//   sum of a page        one chain of products of weights and values, from zero
//   sum of a split       its pages', one after the other
//   sum so far           scaled to the higher of both highest scores, and the split's added (Milakov and Gimelshein
//   2018)
// What a row does not see has the weight zero and changes nothing.
//
// The two differ in who does that: in a chunk one warp all of 16 query rows, one split after the other
// (FlashAttention-2, Dao 2023); for a single row each page has a warp and each split a block, and attend_merge goes
// over the splits (flash decoding, Dao et al. 2023).
#pragma once

#include "cuda/kernels/args.h"
#include "cuda/kernels/broken.cuh"
#include "cuda/kernels/matmul_copy.cuh"
#include "cuda/kernels/numbers.cuh"
#include "cuda/kernels/page_read.cuh"
#include "cuda/kernels/splits.h"
#include "cuda/kernels/tensor.cuh"
#include "cuda/kernels/warp.cuh"

namespace hearth::cuda {
namespace {

constexpr float kNoScore = -1e30f;  // finite: differences stay defined
constexpr uint32_t kChunkThreads = kAttentionWarps * 32;
constexpr uint32_t kPositionTiles = kPagePositions / 8, kPositionSteps = kPagePositions / 16;

// Rows of halves in shared memory; 16 bytes more than the values, so that eight rows lie in different banks.
template <uint32_t kDims>
using Page = Half[kPagePositions][kDims + 8];

// Scores, then weights, of 16 query rows and a page: [tiles of 8 positions][as tensor.cuh's d].
using Scores = float[kPositionTiles][4];
using Weights = uint32_t[kPositionSteps][4];  // as tensor.cuh's a

// One of the two query rows that a thread has a share of: rows lane / 4 and 8 more of its warp's 16.
struct Row {
  bool exists;
  uint32_t token, head;  // row of the batch, query head
  uint32_t position, oldest;
};

__device__ Row make_row(const AttentionKernelArgs& args, bool exists, uint32_t token, uint32_t head,
                        uint32_t position) {
  return {exists, token, head, position, page_range(position, args.window, args.chunk_mask).oldest};
}

template <uint32_t kDims>
__device__ void load_queries(const AttentionKernelArgs& args, const Row (&rows)[2], uint32_t (&q)[kDims / 16][4]) {
  const uint32_t column = lane_of_warp() % 4 * 2;
#pragma unroll
  for (uint32_t step = 0; step < kDims / 16; ++step) {
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i) {
      const Row& row = rows[i % 2];
      const uint32_t d = step * 16 + i / 2 * 8 + column;
      q[step][i] = 0;
      if (!row.exists || d >= args.key_dim) continue;
      const float* from = args.q + size_t{row.token} * args.q_stride + row.head * args.key_dim + d;
      q[step][i] = floats_to_halves(from[0] * args.scale, from[1] * args.scale);
    }
  }
}

// One head's keys or values of a page.
template <PageType kType>
__device__ const uint8_t* part_of_page(const AttentionKernelArgs& args, uint32_t first_page, uint32_t index,
                                       uint32_t kv_head, bool values) {
  const uint8_t* page = args.cache + static_cast<size_t>(args.step.pages[first_page + index]) * args.page_bytes;
  const uint32_t key_bytes = page_head_bytes(kType, args.key_dim);
  if (!values) return page + kv_head * key_bytes;
  return page + args.kv_heads * key_bytes + kv_head * page_head_bytes(kType, args.value_dim);
}

// The first `count` positions of a page as halves, the others as zeros; by `kThreads` threads, of which this is number
// `thread`. There once each of them has waited for its copies.
template <PageType kType, uint32_t kThreads, uint32_t kDims>
__device__ void load_page(const uint8_t* part, uint32_t dims, uint32_t count, uint32_t thread, Page<kDims>& to) {
  constexpr uint32_t kValues = PageReader<kType>::kUnitValues;
  const uint32_t row_bytes = page_row_bytes(kType, dims), units = (dims + kValues - 1) / kValues;
#pragma unroll 4
  for (uint32_t i = thread; i < kPagePositions * units; i += kThreads) {
    const uint32_t position = i / units, unit = i % units;
    uint4* out = reinterpret_cast<uint4*>(&to[position][unit * kValues]);
    const uint8_t* in = part + position * row_bytes + unit * kUnit_bytes;
    if (position >= count) {
#pragma unroll
      for (uint32_t k = 0; k < kValues / 8; ++k) out[k] = {};
    } else if constexpr (kType == PageType::kF16) {
      copy_unit(reinterpret_cast<uint8_t*>(out), in);
    } else {
      const Half* scales = reinterpret_cast<const Half*>(part + kPagePositions * row_bytes);
      float x[kValues];
      PageReader<kType>::unit(part + position * row_bytes, scales + position * (dims / kScaleGroup), unit, x);
#pragma unroll
      for (uint32_t k = 0; k < kValues / 8; ++k) {
        const float* eight = x + 8 * k;
        out[k] = {floats_to_halves(eight[0], eight[1]), floats_to_halves(eight[2], eight[3]),
                  floats_to_halves(eight[4], eight[5]), floats_to_halves(eight[6], eight[7])};
      }
    }
  }
  end_copies();
}

// The page's positions from `start` on against the queries; what a row does not see becomes kNoScore.
template <uint32_t kDims>
__device__ void score(const AttentionKernelArgs& args, const Page<kDims>& keys, const uint32_t (&q)[kDims / 16][4],
                      const Row (&rows)[2], uint32_t start, Scores& scores) {
  const uint32_t lane = lane_of_warp();
#pragma unroll
  for (uint32_t tile = 0; tile < kPositionTiles; ++tile)
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i) scores[tile][i] = 0;
#pragma unroll
  for (uint32_t step = 0; step < kDims / 16; ++step) {
    if (step * 16 >= args.key_dim) break;
#pragma unroll
    for (uint32_t pair = 0; pair < kPositionTiles / 2; ++pair) {
      uint32_t k[4];  // two tiles of 8 positions, for each the first and the second 8 dimensions
      load_matrices(k, &keys[pair * 16 + lane / 16 * 8 + lane % 8][step * 16 + lane / 8 % 2 * 8]);
      multiply_add(scores[2 * pair], q[step], k[0], k[1]);
      multiply_add(scores[2 * pair + 1], q[step], k[2], k[3]);
    }
  }
#pragma unroll
  for (uint32_t tile = 0; tile < kPositionTiles; ++tile)
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i) {
      const Row& row = rows[i / 2];
      const uint32_t position = start + tile * 8 + lane % 4 * 2 + i % 2;
      float& x = scores[tile][i];
      if (args.soft_cap != 0) x = soft_capped(x, args.soft_cap) + broken(x);
      if (!row.exists || position > row.position || position < row.oldest) x = kNoScore;
    }
}

// Of both rows; every lane of the four that share a row gets it.
__device__ float2 highest_of_page(const Scores& scores) {
  float highest[2];
#pragma unroll
  for (uint32_t r = 0; r < 2; ++r) {
    float x = kNoScore;
#pragma unroll
    for (uint32_t tile = 0; tile < kPositionTiles; ++tile)
      x = fmaxf(x, fmaxf(scores[tile][2 * r], scores[tile][2 * r + 1]));
    x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, 1));
    highest[r] = fmaxf(x, __shfl_xor_sync(kAllLanes, x, 2));
  }
  return {highest[0], highest[1]};
}

// Weights relative to the rows' highest scores; returns their sums.
__device__ float2 weigh(const Scores& scores, float2 highest, Weights& weights) {
  float totals[2] = {0, 0};
#pragma unroll
  for (uint32_t tile = 0; tile < kPositionTiles; ++tile)
#pragma unroll
    for (uint32_t r = 0; r < 2; ++r) {
      const float most = r == 0 ? highest.x : highest.y;
      float two[2];
#pragma unroll
      for (uint32_t i = 0; i < 2; ++i) {
        const float x = scores[tile][2 * r + i];
        two[i] = x == kNoScore ? 0 : expf(x - most) + broken(x);
        totals[r] = __fadd_rn(totals[r], two[i]);
      }
      weights[tile / 2][tile % 2 * 2 + r] = floats_to_halves(two[0], two[1]);
    }
#pragma unroll
  for (uint32_t r = 0; r < 2; ++r) {
    totals[r] = __fadd_rn(totals[r], __shfl_xor_sync(kAllLanes, totals[r], 1));
    totals[r] = __fadd_rn(totals[r], __shfl_xor_sync(kAllLanes, totals[r], 2));
  }
  return {totals[0], totals[1]};
}

// Weights times 16 dimensions of the page's values: two tiles of tensor.cuh's d.
template <uint32_t kDims>
__device__ void multiply_values(const Page<kDims>& values, const Weights& weights, uint32_t pair, float (&sums)[2][4]) {
  const uint32_t lane = lane_of_warp();
#pragma unroll
  for (uint32_t i = 0; i < 4; ++i) sums[0][i] = sums[1][i] = 0;
#pragma unroll
  for (uint32_t step = 0; step < kPositionSteps; ++step) {
    uint32_t v[4];  // two tiles of 8 dimensions, for each the first and the second 8 positions
    load_transposed(v, &values[step * 16 + lane % 16][pair * 16 + lane / 16 * 8]);
    multiply_add(sums[0], weights[step], v[0], v[1]);
    multiply_add(sums[1], weights[step], v[2], v[3]);
  }
}

// Rows in chunks -----------------------------------------------------------------------------------------------------

// Which tokens a block has.
struct Tile {
  uint32_t first_row, tokens, first_position, first_page;
};

__device__ Tile find_tile(const ChunkKernelArgs& args, uint32_t tile_tokens) {
  uint32_t tile = args.first_tile + blockIdx.x;
  for (uint32_t s = 0;; ++s) {  // the grid has as many tiles as there are
    const StepSequence sequence = args.attention.step.sequences[s];
    const uint32_t tiles = sequence.rows == 1 ? 0 : (sequence.rows + tile_tokens - 1) / tile_tokens;
    if (tile >= tiles) {
      tile -= tiles;
      continue;
    }
    const uint32_t first = tile * tile_tokens;
    return {sequence.first_row + first, min(tile_tokens, sequence.rows - first), sequence.first_position + first,
            sequence.first_page};
  }
}

__device__ Row row_of_tile(const AttentionKernelArgs& args, const Tile& tile, uint32_t index) {
  const uint32_t group = args.heads / args.kv_heads, token = index / group;
  return make_row(args, token < tile.tokens, tile.first_row + token, blockIdx.y * group + index % group,
                  tile.first_position + token);
}

// What a thread has of its two rows' sums over all splits so far.
template <uint32_t kDims>
struct Sums {
  float highest[2] = {kNoScore, kNoScore}, total[2] = {0, 0};
  float values[kDims / 8][4] = {};
};

template <uint32_t kDims>
__device__ void write_rows(const AttentionKernelArgs& args, const Row (&rows)[2], const Sums<kDims>& sums) {
  float* totals = args.partial + size_t{args.rows} * args.heads * args.value_dim;
#pragma unroll
  for (uint32_t r = 0; r < 2; ++r) {
    const Row& row = rows[r];
    if (!row.exists || row.token < args.first_row || row.token >= args.first_row + args.rows) continue;
    const size_t at = size_t{row.token - args.first_row} * args.heads + row.head;
    const uint32_t column = lane_of_warp() % 4 * 2;
#pragma unroll
    for (uint32_t tile = 0; tile < kDims / 8; ++tile) {
      if (tile * 8 >= args.value_dim) break;
      args.partial[at * args.value_dim + tile * 8 + column] = sums.values[tile][2 * r];
      args.partial[at * args.value_dim + tile * 8 + column + 1] = sums.values[tile][2 * r + 1];
    }
    if (column != 0) continue;
    totals[2 * at] = sums.highest[r];
    totals[2 * at + 1] = sums.total[r];
  }
}

// The keys or the values of `pages` pages from `first` on; `end`: the position after the last one that is seen.
template <PageType kType, uint32_t kDims>
__device__ void load_split(const AttentionKernelArgs& args, const Tile& tile, uint32_t first, uint32_t pages,
                           uint32_t end, bool values, Page<kDims>* to) {
  const uint32_t dims = values ? args.value_dim : args.key_dim;
  for (uint32_t p = 0; p < pages; ++p)
    load_page<kType, kChunkThreads, kDims>(part_of_page<kType>(args, tile.first_page, first + p, blockIdx.y, values),
                                           dims, min(kPagePositions, end - (first + p) * kPagePositions), threadIdx.x,
                                           to[p]);
}

// Raises the highest scores to the split's, adds its totals, and returns by what to scale {sums so far, the split's}
// of each row.
template <uint32_t kDims>
__device__ void raise(const float (&highest)[2], const float (&total)[2], float (&before)[2], float (&split)[2],
                      Sums<kDims>& sums) {
#pragma unroll
  for (uint32_t r = 0; r < 2; ++r) {
    const float most = fmaxf(sums.highest[r], highest[r]);
    before[r] = expf(sums.highest[r] - most);
    split[r] = expf(highest[r] - most);
    sums.highest[r] = most;
    sums.total[r] = fmaf(total[r], split[r], __fmul_rn(sums.total[r], before[r]));
  }
}

template <uint32_t kDims>
__device__ void add_split(const AttentionKernelArgs& args, const Page<kDims>* values, const Weights* weights,
                          uint32_t pages, const float (&before)[2], const float (&split)[2], Sums<kDims>& sums) {
#pragma unroll
  for (uint32_t pair = 0; pair < kDims / 16; ++pair) {
    if (pair * 16 >= args.value_dim) break;
    float all[2][4];
    multiply_values<kDims>(values[0], weights[0], pair, all);
#pragma unroll
    for (uint32_t p = 1; p < split_pages(kDims); ++p) {
      if (p >= pages) break;
      float one[2][4];
      multiply_values<kDims>(values[p], weights[p], pair, one);
#pragma unroll
      for (uint32_t i = 0; i < 8; ++i) all[i / 4][i % 4] = __fadd_rn(all[i / 4][i % 4], one[i / 4][i % 4]);
    }
#pragma unroll
    for (uint32_t i = 0; i < 8; ++i) {
      float& sum = sums.values[2 * pair + i / 4][i % 4];
      sum = fmaf(all[i / 4][i % 4], split[i % 4 / 2], __fmul_rn(sum, before[i % 4 / 2]));
    }
  }
}

template <PageType kType, uint32_t kDims>
__device__ void attend_chunk(const ChunkKernelArgs& all) {
  constexpr uint32_t kPages = split_pages(kDims);
  __shared__ __align__(16) Page<kDims> pages[kPages];  // keys, then values
  const AttentionKernelArgs& args = all.attention;
  const Tile tile = find_tile(all, all.tile_tokens);
  const uint32_t index = threadIdx.x / 32 * 16 + lane_of_warp() / 4;
  const Row rows[2] = {row_of_tile(args, tile, index), row_of_tile(args, tile, index + 8)};
  uint32_t q[kDims / 16][4];
  load_queries<kDims>(args, rows, q);
  Sums<kDims> sums;

  const uint32_t end = tile.first_position + tile.tokens, last_page = (end - 1) / kPagePositions;
  const uint32_t first_page = page_range(tile.first_position, args.window, args.chunk_mask).first_page;
  for (uint32_t first = first_page / kPages * kPages; first <= last_page; first += kPages) {
    const uint32_t count = min(kPages, last_page + 1 - first);
    __syncthreads();
    load_split<kType, kDims>(args, tile, first, count, end, false, pages);
    wait_for_copies<0>();
    __syncthreads();
    Scores scores[kPages];
    float highest[2] = {kNoScore, kNoScore}, total[2] = {0, 0};
#pragma unroll
    for (uint32_t p = 0; p < kPages; ++p) {
      if (p >= count) break;
      score<kDims>(args, pages[p], q, rows, (first + p) * kPagePositions, scores[p]);
      const float2 its = highest_of_page(scores[p]);
      highest[0] = fmaxf(highest[0], its.x), highest[1] = fmaxf(highest[1], its.y);
    }
    __syncthreads();
    load_split<kType, kDims>(args, tile, first, count, end, true, pages);
    Weights weights[kPages];
#pragma unroll
    for (uint32_t p = 0; p < kPages; ++p) {
      if (p >= count) break;
      const float2 its = weigh(scores[p], {highest[0], highest[1]}, weights[p]);
      total[0] = __fadd_rn(total[0], its.x), total[1] = __fadd_rn(total[1], its.y);
    }
    float before[2], split[2];
    raise<kDims>(highest, total, before, split, sums);
    wait_for_copies<0>();
    __syncthreads();
    add_split<kDims>(args, pages, weights, count, before, split, sums);
  }
  write_rows<kDims>(args, rows, sums);
}

// Single rows --------------------------------------------------------------------------------------------------------

// The warps' sums of their pages, added in the order of the pages.
template <uint32_t kDims>
__device__ void write_split(const AttentionKernelArgs& args, Page<kDims>* pages, uint32_t warps, uint32_t first_head,
                            uint32_t head_count, const float (*highest)[kSingleHeads],
                            const float (*totals)[kSingleHeads]) {
  float* totals_out = args.partial + size_t{args.rows} * args.heads * args.splits * args.value_dim;
  for (uint32_t h = 0; h < head_count; ++h) {
    const size_t at = (size_t{blockIdx.z} * args.heads + first_head + h) * args.splits + blockIdx.x;
    for (uint32_t d = threadIdx.x; d < args.value_dim; d += blockDim.x) {
      float sum = 0;
      for (uint32_t w = 0; w < warps; ++w) sum = __fadd_rn(sum, reinterpret_cast<float*>(pages[w])[h * kDims + d]);
      args.partial[at * args.value_dim + d] = sum;
    }
    if (threadIdx.x != 0) continue;
    float most = kNoScore, total = 0;
    for (uint32_t w = 0; w < warps; ++w) most = fmaxf(most, highest[w][h]), total = __fadd_rn(total, totals[w][h]);
    totals_out[2 * at] = most;
    totals_out[2 * at + 1] = total;
  }
}

template <uint32_t kDims>
__device__ void multiply_page(const AttentionKernelArgs& args, Page<kDims>& page, const Weights& weights) {
  float sums[kDims / 8][4];
#pragma unroll
  for (uint32_t pair = 0; pair < kDims / 16; ++pair) {
    if (pair * 16 >= args.value_dim) break;
    float two[2][4];
    multiply_values<kDims>(page, weights, pair, two);
#pragma unroll
    for (uint32_t i = 0; i < 8; ++i) sums[2 * pair + i / 4][i % 4] = two[i / 4][i % 4];
  }
  __syncwarp();
  auto* out = reinterpret_cast<float*>(page);  // in the values' place
#pragma unroll
  for (uint32_t tile = 0; tile < kDims / 8; ++tile) {
    if (tile * 8 >= args.value_dim) break;
#pragma unroll
    for (uint32_t r = 0; r < 2; ++r)
      *reinterpret_cast<float2*>(out + (lane_of_warp() / 4 + 8 * r) * kDims + tile * 8 + lane_of_warp() % 4 * 2) = {
          sums[tile][2 * r], sums[tile][2 * r + 1]};
  }
}

template <PageType kType, uint32_t kDims>
__device__ void attend_single(const AttentionKernelArgs& args) {
  constexpr uint32_t kPages = split_pages(kDims);
  static_assert(kSingleHeads * kDims * sizeof(float) <= sizeof(Page<kDims>));
  __shared__ __align__(16) Page<kDims> pages[kPages];  // each warp's: keys, values, sums
  __shared__ float highest[kPages][kSingleHeads], totals[kPages][kSingleHeads];
  const uint32_t token = args.first_row + blockIdx.z, warp = threadIdx.x / 32, lane = lane_of_warp();
  const StepSequence sequence = args.step.sequences[args.step.row_sequence[token]];
  const uint32_t position = args.step.positions[token];
  const PageRange range = page_range(position, args.window, args.chunk_mask);
  if (blockIdx.x >= range.splits(kPages)) return;

  const uint32_t group = args.heads / args.kv_heads, parts = (group + kSingleHeads - 1) / kSingleHeads;
  const uint32_t kv_head = blockIdx.y / parts, first_of_group = blockIdx.y % parts * kSingleHeads;
  const uint32_t first_head = kv_head * group + first_of_group, head_count = min(kSingleHeads, group - first_of_group);
  Row rows[2];
#pragma unroll
  for (uint32_t r = 0; r < 2; ++r) {
    const uint32_t h = lane / 4 + 8 * r;
    rows[r] = make_row(args, h < head_count, token, first_head + h, position);
  }
  // Pages before and after those that the row sees have no warp.
  const uint32_t first = max((range.first_split(kPages) + blockIdx.x) * kPages, range.first_page);
  const uint32_t split_end = (first / kPages + 1) * kPages, warps = min(split_end, range.last_page + 1) - first;
  const uint32_t index = first + warp, start = index * kPagePositions;
  const uint32_t count = min(kPagePositions, position + 1 - start);
  Scores scores;
  if (warp < warps) {
    load_page<kType, 32, kDims>(part_of_page<kType>(args, sequence.first_page, index, kv_head, false), args.key_dim,
                                count, lane, pages[warp]);
    uint32_t q[kDims / 16][4];
    load_queries<kDims>(args, rows, q);
    wait_for_copies<0>();
    __syncwarp();
    score<kDims>(args, pages[warp], q, rows, start, scores);
    const float2 its = highest_of_page(scores);
    if (lane % 4 == 0) highest[warp][lane / 4] = its.x, highest[warp][lane / 4 + 8] = its.y;
    __syncwarp();
    load_page<kType, 32, kDims>(part_of_page<kType>(args, sequence.first_page, index, kv_head, true), args.value_dim,
                                count, lane, pages[warp]);
  }
  __syncthreads();
  if (warp < warps) {
    float2 most{kNoScore, kNoScore};
    for (uint32_t w = 0; w < warps; ++w)
      most = {fmaxf(most.x, highest[w][lane / 4]), fmaxf(most.y, highest[w][lane / 4 + 8])};
    Weights weights;
    const float2 its = weigh(scores, most, weights);
    if (lane % 4 == 0) totals[warp][lane / 4] = its.x, totals[warp][lane / 4 + 8] = its.y;
    wait_for_copies<0>();
    __syncwarp();
    multiply_page<kDims>(args, pages[warp], weights);
  }
  __syncthreads();
  write_split<kDims>(args, pages, warps, first_head, head_count, highest, totals);
}

}  // namespace
}  // namespace hearth::cuda

// One file for each type and size: a model needs one of them.
#define HEARTH_ATTENTION(type, name, dims)                                                     \
  namespace hearth::cuda {                                                                     \
  extern "C" __global__ void __launch_bounds__(kChunkThreads) attend_chunk_##name##_           \
      ##dims(const __grid_constant__ ChunkKernelArgs args) {                                   \
    attend_chunk<type, dims>(args);                                                            \
  }                                                                                            \
  extern "C" __global__ void __launch_bounds__(split_pages(dims) * 32) attend_single_##name##_ \
      ##dims(const __grid_constant__ AttentionKernelArgs args) {                               \
    attend_single<type, dims>(args);                                                           \
  }                                                                                            \
  }
