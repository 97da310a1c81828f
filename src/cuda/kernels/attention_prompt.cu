// hearth-targets: 75 80
// Attention of prompts on tensor cores: f16 and q8_0 caches, key and value sizes that are multiples of 16, up
// to 256. Queries and weights are rounded to halves, sums are float32.
//
// A block works on kTileRows query rows of one kv head: adjacent tokens of one sequence, for each the query heads
// that share the kv head. Its four warps have 16 rows each and share the pages of keys and values, which lie in
// shared memory as halves. The order of the sums is that of FlashAttention-2 (Dao 2023).
#include "cuda/kernels/args.h"
#include "cuda/kernels/numbers.cuh"
#include "cuda/kernels/page_read.cuh"
#include "cuda/kernels/splits.h"
#include "cuda/kernels/tensor.cuh"
#include "cuda/kernels/warp.cuh"

namespace hearth::cuda {
namespace {

constexpr float kNoScore = -1e30f;  // finite: differences stay defined
constexpr uint32_t kThreads = kAttentionWarps * 32;
constexpr uint32_t kPositionTiles = kPagePositions / 8;

// Rows of halves in shared memory; 16 bytes more than the values, so that eight rows lie in different banks.
template <uint32_t kDims>
using Page = Half[kPagePositions][kDims + 8];

// Which tokens a block has.
struct Tile {
  uint32_t first_row, tokens, first_position, first_page;
};

__device__ Tile find_tile(const PromptKernelArgs& args, uint32_t tile_tokens) {
  uint32_t tile = blockIdx.x;
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

// The first `count` positions of a page as halves, the others as zeros.
template <PageType kType, uint32_t kDims>
__device__ void load_page(const uint8_t* part, uint32_t dims, uint32_t count, Page<kDims>& to) {
  constexpr uint32_t kValues = PageReader<kType>::kUnitValues;
  const uint32_t row_bytes = page_row_bytes(kType, dims), units = (dims + kValues - 1) / kValues;
  for (uint32_t i = threadIdx.x; i < kPagePositions * units; i += kThreads) {
    const uint32_t position = i / units, unit = i % units;
    uint4* out = reinterpret_cast<uint4*>(&to[position][unit * kValues]);
    const uint4* in = reinterpret_cast<const uint4*>(part + position * row_bytes) + unit;
    if (position >= count) {
#pragma unroll
      for (uint32_t k = 0; k < kValues / 8; ++k) out[k] = {};
    } else if constexpr (kType == PageType::kF16) {
      out[0] = *in;
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
}

// One of the two rows of the tile that a thread has a share of.
struct Row {
  bool exists;
  uint32_t token, head;  // row of the batch, query head
  uint32_t position, oldest;
  float highest, total;  // total: of this thread's columns
};

__device__ Row make_row(const AttentionKernelArgs& args, const Tile& tile, uint32_t index, uint32_t group) {
  Row row{};
  const uint32_t token = index / group;
  row.exists = token < tile.tokens;
  row.token = tile.first_row + token;
  row.head = blockIdx.y * group + index % group;
  row.position = tile.first_position + token;
  row.oldest = page_range(row.position, args.window, kPagePositions, false).first_position;
  row.highest = kNoScore;
  return row;
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

template <uint32_t kDims>
__device__ void score(const AttentionKernelArgs& args, const Page<kDims>& keys, const uint32_t (&q)[kDims / 16][4],
                      float (&scores)[kPositionTiles][4]) {
  const uint32_t lane = lane_of_warp();
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
}

// Scores become weights relative to the new highest score of each row; returns the factors for earlier sums.
__device__ float2 soften(const AttentionKernelArgs& args, uint32_t start, float (&scores)[kPositionTiles][4],
                         Row (&rows)[2]) {
  float factors[2];
#pragma unroll
  for (uint32_t r = 0; r < 2; ++r) {
    Row& row = rows[r];
    const auto visible = [&](uint32_t tile, uint32_t i) {
      const uint32_t position = start + tile * 8 + lane_of_warp() % 4 * 2 + i;
      return row.exists && position <= row.position && position >= row.oldest;
    };
    float highest = row.highest;
#pragma unroll
    for (uint32_t tile = 0; tile < kPositionTiles; ++tile)
#pragma unroll
      for (uint32_t i = 0; i < 2; ++i) {
        float& x = scores[tile][2 * r + i];
        if (args.soft_cap != 0) x = soft_capped(x, args.soft_cap);
        if (!visible(tile, i)) x = kNoScore;
        highest = fmaxf(highest, x);
      }
    highest = fmaxf(highest, __shfl_xor_sync(kAllLanes, highest, 1));
    highest = fmaxf(highest, __shfl_xor_sync(kAllLanes, highest, 2));
    factors[r] = expf(row.highest - highest);
    row.highest = highest;
    row.total *= factors[r];
#pragma unroll
    for (uint32_t tile = 0; tile < kPositionTiles; ++tile)
#pragma unroll
      for (uint32_t i = 0; i < 2; ++i) {
        float& x = scores[tile][2 * r + i];
        x = x == kNoScore ? 0 : expf(x - highest);
        row.total += x;
      }
  }
  return {factors[0], factors[1]};
}

template <uint32_t kDims>
__device__ void add_values(const AttentionKernelArgs& args, const Page<kDims>& values,
                           const float (&weights)[kPositionTiles][4], float2 factors, float (&sums)[kDims / 8][4]) {
  uint32_t p[kPositionTiles / 2][4];
#pragma unroll
  for (uint32_t step = 0; step < kPositionTiles / 2; ++step)
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i) {
      const float* two = weights[2 * step + i / 2] + i % 2 * 2;
      p[step][i] = floats_to_halves(two[0], two[1]);
    }
  const uint32_t lane = lane_of_warp();
#pragma unroll
  for (uint32_t pair = 0; pair < kDims / 16; ++pair) {
    if (pair * 16 >= args.value_dim) break;
#pragma unroll
    for (uint32_t half = 0; half < 2; ++half) {
      float(&sum)[4] = sums[2 * pair + half];
      sum[0] *= factors.x, sum[1] *= factors.x, sum[2] *= factors.y, sum[3] *= factors.y;
    }
#pragma unroll
    for (uint32_t step = 0; step < kPositionTiles / 2; ++step) {
      uint32_t v[4];  // two tiles of 8 dimensions, for each the first and the second 8 positions
      load_transposed(v, &values[step * 16 + lane % 16][pair * 16 + lane / 16 * 8]);
      multiply_add(sums[2 * pair], p[step], v[0], v[1]);
      multiply_add(sums[2 * pair + 1], p[step], v[2], v[3]);
    }
  }
}

template <uint32_t kDims>
__device__ void write_rows(const AttentionKernelArgs& args, Row (&rows)[2], const float (&sums)[kDims / 8][4]) {
  float* totals = args.partial + size_t{args.rows} * args.heads * args.value_dim;
#pragma unroll
  for (uint32_t r = 0; r < 2; ++r) {
    Row& row = rows[r];
    row.total += __shfl_xor_sync(kAllLanes, row.total, 1);
    row.total += __shfl_xor_sync(kAllLanes, row.total, 2);
    if (!row.exists || row.token < args.first_row || row.token >= args.first_row + args.rows) continue;
    const size_t at = size_t{row.token - args.first_row} * args.heads + row.head;
    const uint32_t column = lane_of_warp() % 4 * 2;
#pragma unroll
    for (uint32_t tile = 0; tile < kDims / 8; ++tile) {
      if (tile * 8 >= args.value_dim) break;
      args.partial[at * args.value_dim + tile * 8 + column] = sums[tile][2 * r];
      args.partial[at * args.value_dim + tile * 8 + column + 1] = sums[tile][2 * r + 1];
    }
    if (column != 0) continue;
    totals[2 * at] = row.highest;
    totals[2 * at + 1] = row.total;
  }
}

template <PageType kType, uint32_t kDims>
__device__ void attend_prompt(const PromptKernelArgs& all) {
  __shared__ __align__(16) Page<kDims> keys;
  __shared__ __align__(16) Page<kDims> values;
  const AttentionKernelArgs& args = all.attention;
  const uint32_t group = args.heads / args.kv_heads;
  const Tile tile = find_tile(all, all.tile_tokens);
  if (tile.first_row + tile.tokens <= args.first_row || tile.first_row >= args.first_row + args.rows) return;
  const uint32_t first_index = threadIdx.x / 32 * 16 + lane_of_warp() / 4;
  Row rows[2] = {make_row(args, tile, first_index, group), make_row(args, tile, first_index + 8, group)};
  uint32_t q[kDims / 16][4];
  load_queries<kDims>(args, rows, q);
  float sums[kDims / 8][4] = {};

  const uint32_t last = tile.first_position + tile.tokens - 1;
  const uint32_t first_page = page_range(tile.first_position, args.window, kPagePositions, false).first_page;
  for (uint32_t index = first_page; index <= last / kPagePositions; ++index) {
    const uint32_t start = index * kPagePositions, count = min(kPagePositions, last + 1 - start);
    const uint8_t* page = args.cache + static_cast<size_t>(args.step.pages[tile.first_page + index]) * args.page_bytes;
    const uint32_t key_bytes = page_head_bytes(kType, args.key_dim);
    const uint8_t* value_part = page + args.kv_heads * key_bytes + blockIdx.y * page_head_bytes(kType, args.value_dim);
    __syncthreads();
    load_page<kType, kDims>(page + blockIdx.y * key_bytes, args.key_dim, count, keys);
    load_page<kType, kDims>(value_part, args.value_dim, count, values);
    __syncthreads();
    float scores[kPositionTiles][4] = {};
    score<kDims>(args, keys, q, scores);
    const float2 factors = soften(args, start, scores, rows);
    add_values<kDims>(args, values, scores, factors, sums);
  }
  write_rows<kDims>(args, rows, sums);
}

}  // namespace

#define ATTEND_PROMPT(type, name, dims)                                              \
  extern "C" __global__ void __launch_bounds__(kThreads)                             \
      attend_prompt_##name##_##dims(const __grid_constant__ PromptKernelArgs args) { \
    attend_prompt<type, dims>(args);                                                 \
  }
ATTEND_PROMPT(PageType::kF16, f16, 64)
ATTEND_PROMPT(PageType::kF16, f16, 128)
ATTEND_PROMPT(PageType::kF16, f16, 256)
ATTEND_PROMPT(PageType::kQ8_0, q8_0, 64)
ATTEND_PROMPT(PageType::kQ8_0, q8_0, 128)
ATTEND_PROMPT(PageType::kQ8_0, q8_0, 256)

}  // namespace hearth::cuda
