// Attention over a paged cache in float32, for what attention_tensor.cuh cannot do: every cache type and head size.
//
// A block works on one row (token), up to kHeads query heads that share a kv head, and one split of the
// positions. Each warp takes every kAttentionWarps-th page: lane = position while scores are computed, lane =
// dimensions while values are summed. Running softmax (Milakov and Gimelshein 2018); the splits are merged
// afterwards (flash decoding, Dao et al. 2023).
#include "cuda/kernels/args.h"
#include "cuda/kernels/broken.cuh"
#include "cuda/kernels/numbers.cuh"
#include "cuda/kernels/operand.cuh"
#include "cuda/kernels/page_read.cuh"
#include "cuda/kernels/splits.h"
#include "cuda/kernels/warp.cuh"

namespace hearth::cuda {
namespace {

constexpr float kNoScore = -1e30f;  // finite: differences stay defined

template <uint32_t kHeads, uint32_t kParts>
struct WarpState {
  float highest[kHeads];
  float total[kHeads];  // of this lane's positions
  float sums[kHeads][4 * kParts];
};

// Where one head's keys or values of a page lie.
struct PagePart {
  const uint8_t* rows;
  const Half* scales;
  uint32_t row_bytes, row_scales;
};

template <PageType kType>
__device__ PagePart page_part(const AttentionKernelArgs& args, int32_t page, uint32_t kv_head, bool values) {
  const uint32_t key_bytes = page_head_bytes(kType, args.key_dim);
  if (args.values_in_keys != 0) values = false;
  const uint32_t dims = values ? args.value_dim : args.key_dim;
  const uint8_t* at = args.cache + static_cast<size_t>(page) * args.page_bytes +
                      (values ? args.kv_heads * key_bytes : 0) + kv_head * page_head_bytes(kType, dims);
  const uint32_t row_bytes = page_row_bytes(kType, dims);
  return {at, reinterpret_cast<const Half*>(at + kPagePositions * row_bytes), row_bytes, dims / kScaleGroup};
}

// This lane's position against every head's query ([kHeads][padded dimensions] in shared memory).
template <PageType kType, uint32_t kHeads>
__device__ void score(const PagePart& keys, const float* q, uint32_t padded, float* scores) {
  using Reader = PageReader<kType>;
  constexpr uint32_t kValues = Reader::kUnitValues;
  const uint8_t* row = keys.rows + lane_of_warp() * keys.row_bytes;
  const Half* scales = keys.scales + lane_of_warp() * keys.row_scales;
#pragma unroll 2
  for (uint32_t unit = 0; unit < padded / kValues; ++unit) {
    float k[kValues];
    Reader::unit(row, scales, unit, k);
#pragma unroll
    for (uint32_t h = 0; h < kHeads; ++h) {
      const float4* x = reinterpret_cast<const float4*>(q + h * padded + unit * kValues);
#pragma unroll
      for (uint32_t i = 0; i < kValues / 4; ++i) {
        const float4 part = x[i];
        scores[h] = fmaf(part.x, k[4 * i], scores[h]);
        scores[h] = fmaf(part.y, k[4 * i + 1], scores[h]);
        scores[h] = fmaf(part.z, k[4 * i + 2], scores[h]);
        scores[h] = fmaf(part.w, k[4 * i + 3], scores[h]);
      }
    }
  }
}

// Scores become weights relative to the new highest score; what was summed before is scaled down.
template <uint32_t kHeads, uint32_t kParts>
__device__ void soften(float* scores, bool visible, float soft_cap, WarpState<kHeads, kParts>& state) {
#pragma unroll
  for (uint32_t h = 0; h < kHeads; ++h) {
    if (soft_cap != 0) scores[h] = soft_capped(scores[h], soft_cap) + broken(scores[h]);
    const float highest = fmaxf(state.highest[h], warp_max(visible ? scores[h] : kNoScore));
    const float factor = expf(state.highest[h] - highest);
    state.highest[h] = highest;
    scores[h] = visible ? expf(scores[h] - highest) + broken(scores[h]) : 0;
    state.total[h] = state.total[h] * factor + scores[h];
#pragma unroll
    for (uint32_t i = 0; i < 4 * kParts; ++i) state.sums[h][i] *= factor;
  }
}

// sums += weights * values over the positions [from, to) of a page; `weights` is [32][kHeads] in shared memory.
template <PageType kType, uint32_t kHeads, uint32_t kParts>
__device__ void add_values(const PagePart& values, uint32_t dims, uint32_t from, uint32_t to, const float* weights,
                           WarpState<kHeads, kParts>& state) {
#pragma unroll 4
  for (uint32_t position = from; position < to; ++position) {
    const uint8_t* row = values.rows + position * values.row_bytes;
    const Half* scales = values.scales + position * values.row_scales;
#pragma unroll
    for (uint32_t part = 0; part < kParts; ++part) {
      const uint32_t d = part * 128 + lane_of_warp() * 4;
      if (d >= dims) continue;
      float v[4];
      PageReader<kType>::four(row, scales, d, v);
#pragma unroll
      for (uint32_t h = 0; h < kHeads; ++h) {
        const float weight = weights[position * kHeads + h];
#pragma unroll
        for (uint32_t i = 0; i < 4; ++i) state.sums[h][4 * part + i] = fmaf(weight, v[i], state.sums[h][4 * part + i]);
      }
    }
  }
}

// Adds up the warps' states, in their order, and writes them as the split's partial result.
template <uint32_t kHeads, uint32_t kParts>
__device__ void write_partial(const AttentionKernelArgs& args, uint32_t first_head, uint32_t head_count,
                              WarpState<kHeads, kParts>& state) {
  __shared__ float highest[kAttentionWarps][kHeads], totals[kAttentionWarps][kHeads];
  __shared__ float sums[kHeads][kParts * 128];
  const uint32_t warp = threadIdx.x / 32, row = blockIdx.z;
#pragma unroll
  for (uint32_t h = 0; h < kHeads; ++h) {
    const float total = warp_sum(state.total[h]);
    if (lane_of_warp() == 0) highest[warp][h] = state.highest[h], totals[warp][h] = total;
  }
  for (uint32_t turn = 0; turn < kAttentionWarps; ++turn) {
    __syncthreads();
    if (warp != turn) continue;
#pragma unroll
    for (uint32_t h = 0; h < kHeads; ++h) {
      float most = kNoScore;
      for (uint32_t w = 0; w < kAttentionWarps; ++w) most = fmaxf(most, highest[w][h]);
      const float factor = expf(state.highest[h] - most);
#pragma unroll
      for (uint32_t i = 0; i < 4 * kParts; ++i) {
        float& sum = sums[h][i / 4 * 128 + lane_of_warp() * 4 + i % 4];
        const float part = factor * state.sums[h][i];
        if (turn == 0)
          sum = part;
        else
          sum += part;
      }
    }
  }
  __syncthreads();
  float* totals_out = args.partial + size_t{args.rows} * args.heads * args.splits * args.value_dim;
  for (uint32_t h = 0; h < head_count; ++h) {
    const size_t at = (size_t{row} * args.heads + first_head + h) * args.splits + blockIdx.x;
    for (uint32_t d = threadIdx.x; d < args.value_dim; d += kAttentionWarps * 32)
      args.partial[at * args.value_dim + d] = sums[h][d];
    if (threadIdx.x != 0) continue;
    float most = kNoScore, total = 0;
    for (uint32_t w = 0; w < kAttentionWarps; ++w) most = fmaxf(most, highest[w][h]);
    for (uint32_t w = 0; w < kAttentionWarps; ++w) total += totals[w][h] * expf(highest[w][h] - most);
    totals_out[2 * at] = most;
    totals_out[2 * at + 1] = total;
  }
}

// The queries of the block's heads, scaled, padded with zeros in both directions.
template <uint32_t kHeads>
__device__ void load_queries(const AttentionKernelArgs& args, uint32_t row, uint32_t first_head, uint32_t head_count,
                             uint32_t padded, float* q) {
  const float* from = args.q + size_t{row} * args.q_stride + first_head * args.key_dim;
  for (uint32_t i = threadIdx.x; i < kHeads * padded; i += kAttentionWarps * 32) {
    const uint32_t h = i / padded, d = i % padded;
    q[i] = h < head_count && d < args.key_dim ? from[h * args.key_dim + d] * args.scale : 0;
  }
}

// kParts * 128 dimensions of values at most.
template <PageType kType, uint32_t kHeads, uint32_t kParts>
__device__ void attend(const AttentionKernelArgs& args) {
  extern __shared__ float4 q_shared[];
  __shared__ float weights[kAttentionWarps][kPagePositions * kHeads];
  const uint32_t row = args.first_row + blockIdx.z, warp = threadIdx.x / 32;
  const StepSequence sequence = args.step.sequences[args.step.row_sequence[row]];
  const uint32_t position = args.step.positions[row], pages = split_pages(args.key_dim, args.value_dim);
  const uint32_t seen = args.ahead != 0 ? args.step.ends[row] : position + 1;
  const PageRange range = page_range_to(seen, position, args.window, args.chunk_mask);
  if (blockIdx.x >= range.splits(pages)) return;

  const uint32_t group = args.heads / args.kv_heads, chunks = (group + kHeads - 1) / kHeads;
  const uint32_t kv_head = blockIdx.y / chunks, first_of_group = blockIdx.y % chunks * kHeads;
  const uint32_t first_head = kv_head * group + first_of_group;
  const uint32_t head_count = min(kHeads, group - first_of_group);
  const uint32_t padded = page_row_bytes(kType, args.key_dim) / element_bytes(kType);
  float* q = reinterpret_cast<float*>(q_shared);
  load_queries<kHeads>(args, row, first_head, head_count, padded, q);
  __syncthreads();

  WarpState<kHeads, kParts> state;
#pragma unroll
  for (uint32_t h = 0; h < kHeads; ++h) {
    state.highest[h] = kNoScore;
    state.total[h] = 0;
#pragma unroll
    for (uint32_t i = 0; i < 4 * kParts; ++i) state.sums[h][i] = 0;
  }
  const uint32_t split = (range.first_split(pages) + blockIdx.x) * pages;
  const uint32_t begin = max(split, range.first_page), end = min(split + pages, range.last_page + 1);
  for (uint32_t index = begin + warp; index < end; index += kAttentionWarps) {
    const int32_t page = args.step.pages[sequence.first_page + index];
    const uint32_t start = index * kPagePositions;
    const uint32_t from = range.oldest > start ? range.oldest - start : 0;
    const uint32_t to = min(kPagePositions, seen - start);
    const bool visible = lane_of_warp() >= from && lane_of_warp() < to;
    float scores[kHeads] = {};
    if (visible) score<kType, kHeads>(page_part<kType>(args, page, kv_head, false), q, padded, scores);
    __syncwarp();
    soften<kHeads, kParts>(scores, visible, args.soft_cap, state);
#pragma unroll
    for (uint32_t h = 0; h < kHeads; ++h) weights[warp][lane_of_warp() * kHeads + h] = scores[h];
    __syncwarp();
    add_values<kType, kHeads, kParts>(page_part<kType>(args, page, kv_head, true), args.value_dim, from, to,
                                      weights[warp], state);
    __syncwarp();
  }
  write_partial<kHeads, kParts>(args, first_head, head_count, state);
}

}  // namespace

#define ATTEND(type, name, heads, parts)                                                    \
  extern "C" __global__ void __launch_bounds__(kAttentionWarps * 32)                        \
      attend_##name##_##heads##_##parts(const __grid_constant__ AttentionKernelArgs args) { \
    attend<type, heads, parts>(args);                                                       \
  }
#define ATTEND_SIZES(type, name) \
  ATTEND(type, name, 1, 1)       \
  ATTEND(type, name, 4, 1)       \
  ATTEND(type, name, 8, 1)       \
  ATTEND(type, name, 1, 2)       \
  ATTEND(type, name, 4, 2)       \
  ATTEND(type, name, 4, 4)
ATTEND_SIZES(PageType::kF32, f32)
ATTEND_SIZES(PageType::kF16, f16)
ATTEND_SIZES(PageType::kQ8_0, q8_0)

}  // namespace hearth::cuda
