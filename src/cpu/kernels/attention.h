// Attention over a paged cache, one block of query rows of one kv head at a time: scores of a page,
// a running softmax (Milakov and Gimelshein 2018; the order of FlashAttention, Dao et al. 2022), and the
// weighted sum of the page's values. Grouped query heads are rows of the same block and share what is
// read. A row's result does not depend on which rows share its block.
#pragma once

#include <algorithm>
#include <limits>

#include "cpu/kernels/attention_block.h"
#include "cpu/kernels/cache_page.h"
#include "cpu/kernels/constant.h"
#include "cpu/kernels/scratch.h"
#include "cpu/kernels/vectors.h"

namespace hearth::cpu {

template <class V, CacheType kType>
struct CacheReader;

template <class V>
struct CacheReader<V, CacheType::kF32> {
  static constexpr size_t kValue_bytes = 4;
  static typename V::F load(const std::byte* p) { return V::load(reinterpret_cast<const float*>(p)); }
  static typename V::F load_n(const std::byte* p, int n) { return V::load_n(reinterpret_cast<const float*>(p), n); }
};

template <class V>
struct CacheReader<V, CacheType::kF16> {
  static constexpr size_t kValue_bytes = 2;
  static typename V::F load(const std::byte* p) { return V::load_half(reinterpret_cast<const uint16_t*>(p)); }
  static typename V::F load_n(const std::byte* p, int n) {
    return V::load_half_n(reinterpret_cast<const uint16_t*>(p), n);
  }
};

// scores[r][0..31] = q[r] . keys of the page, for R rows; two vectors of positions at a time.
template <class V, CacheType kType, int R>
void page_scores(const float* q, uint32_t key_dim, const std::byte* keys, float* scores) {
  using F = typename V::F;
  constexpr uint32_t kPair = 2 * V::kLanes;
  static_assert(kPage_tokens % kPair == 0);
  for (uint32_t at = 0; at < kPage_tokens; at += kPair) {
    F sum[R][2];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) sum[r][0] = sum[r][1] = V::zero();
    if constexpr (kType == CacheType::kQ8_0) {
      for (uint32_t block = 0; block < key_dim / kCacheBlock; ++block) {
        const std::byte* head = keys + block * kKeyBlock_bytes;
        const int8_t* bytes = reinterpret_cast<const int8_t*>(head) + kPage_tokens * sizeof(uint16_t) + at;
        const uint16_t* scales = reinterpret_cast<const uint16_t*>(head) + at;
        F part[R][2];
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) part[r][0] = part[r][1] = V::zero();
        for (uint32_t d = 0; d < kCacheBlock; ++d) {
          const F k0 = V::load_i8(bytes + d * kPage_tokens), k1 = V::load_i8(bytes + d * kPage_tokens + V::kLanes);
#pragma GCC unroll 8
          for (int r = 0; r < R; ++r) {
            const F x = V::set(q[static_cast<uint32_t>(r) * key_dim + block * kCacheBlock + d]);
            part[r][0] = V::fma(x, k0, part[r][0]);
            part[r][1] = V::fma(x, k1, part[r][1]);
          }
        }
        const F s0 = V::load_half(scales), s1 = V::load_half(scales + V::kLanes);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
          sum[r][0] = V::fma(part[r][0], s0, sum[r][0]);
          sum[r][1] = V::fma(part[r][1], s1, sum[r][1]);
        }
      }
    } else {
      using Reader = CacheReader<V, kType>;
      const std::byte* from = keys + at * Reader::kValue_bytes;
      for (uint32_t d = 0; d < key_dim; ++d, from += kPage_tokens * Reader::kValue_bytes) {
        const F k0 = Reader::load(from), k1 = Reader::load(from + V::kLanes * Reader::kValue_bytes);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
          const F x = V::set(q[static_cast<uint32_t>(r) * key_dim + d]);
          sum[r][0] = V::fma(x, k0, sum[r][0]);
          sum[r][1] = V::fma(x, k1, sum[r][1]);
        }
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      V::store(scores + static_cast<uint32_t>(r) * kPage_tokens + at, sum[r][0]);
      V::store(scores + static_cast<uint32_t>(r) * kPage_tokens + at + V::kLanes, sum[r][1]);
    }
  }
}

// out[r] += sum over the page's first `tokens` positions of weights[r][position] * value, for R rows
// and N vectors of dimensions from `d` on (the last one with `lanes` lanes).
template <class V, CacheType kType, int R, int N>
void add_values(const float* weights, uint32_t tokens, const std::byte* values, size_t row_bytes, uint32_t d, int lanes,
                float* out, uint32_t value_dim) {
  using F = typename V::F;
  F sum[R][N];
  const auto partial = [&](int n) { return n == N - 1 && lanes < V::kLanes; };
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) {
      const float* from = out + static_cast<uint32_t>(r) * value_dim + d + static_cast<uint32_t>(n * V::kLanes);
      sum[r][n] = partial(n) ? V::load_n(from, lanes) : V::load(from);
    }
  for (uint32_t t = 0; t < tokens; ++t, values += row_bytes) {
    F v[N];
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) {
      const uint32_t at = d + static_cast<uint32_t>(n * V::kLanes);
      if constexpr (kType == CacheType::kQ8_0) {
        const std::byte* block = values + at / kCacheBlock * kValueBlock_bytes;
        uint16_t scale;
        std::memcpy(&scale, block, sizeof scale);
        v[n] = V::mul(V::set(half_to_float(scale)),
                      V::load_i8(reinterpret_cast<const int8_t*>(block) + sizeof scale + at % kCacheBlock));
      } else {
        using Reader = CacheReader<V, kType>;
        const std::byte* from = values + at * Reader::kValue_bytes;
        v[n] = partial(n) ? Reader::load_n(from, lanes) : Reader::load(from);
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const F w = V::set(weights[static_cast<uint32_t>(r) * kPage_tokens + t]);
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) sum[r][n] = V::fma(w, v[n], sum[r][n]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) {
      float* to = out + static_cast<uint32_t>(r) * value_dim + d + static_cast<uint32_t>(n * V::kLanes);
      if (partial(n))
        V::store_n(to, sum[r][n], lanes);
      else
        V::store(to, sum[r][n]);
    }
}

// The running softmax of one row.
struct SoftmaxState {
  float highest = -1e30f;  // finite, so that differences with it stay defined
  float total = 0;
};

// Turns the scores of positions [from, to) of a page into weights (0 elsewhere) relative to the row's
// new highest score; returns the factor for what was summed before.
template <class V>
float softmax_page(float* scores, uint32_t from, uint32_t to, float soft_cap, SoftmaxState& state) {
  using F = typename V::F;
  constexpr float kMasked = SoftmaxState().highest;
  if (soft_cap > 0) soft_cap_row<V>(scores, kPage_tokens, soft_cap);
  for (uint32_t i = 0; i < from; ++i) scores[i] = kMasked;
  F most = V::set(state.highest);
  for (uint32_t i = 0; i < kPage_tokens; i += V::kLanes) {
    const F x = V::keep_first(V::load(scores + i), static_cast<int>(to) - static_cast<int>(i), V::set(kMasked));
    V::store(scores + i, x);
    most = V::max(most, x);
  }
  const float highest = V::highest(most);
  F total = V::zero();
  for (uint32_t i = 0; i < kPage_tokens; i += V::kLanes) {
    const F score = V::load(scores + i);
    const F weight = V::fma(score, V::zero(), exponential<V>(V::sub(score, V::set(highest))));
    V::store(scores + i, weight);
    total = V::add(total, weight);
  }
  const float factor = state.highest < highest ? std::exp(state.highest - highest) : 1.0f;
  state.highest = highest;
  state.total = state.total * factor + V::sum(total);
  return factor;
}

// The rows of a block while page after page goes by.
template <class V>
struct AttentionRows {
  float* q;                                     // [row][key_dim], scaled
  float* sums;                                  // [row][value_dim]: what the weights so far make of the values
  SoftmaxState states[V::kAttentionRows] = {};  // of the weights so far
  uint32_t positions[V::kAttentionRows];        // in the sequence
  uint32_t ends[V::kAttentionRows];             // see AttentionBlock
  alignas(64) float scores[V::kAttentionRows * kPage_tokens];  // [row][position] of one page; then its weights
};

// Which row of the batch and which query head row `i` of a block is.
struct QueryRow {
  uint32_t row, head;
};
[[gnu::always_inline]] inline QueryRow query_row(const AttentionBlock& block, uint32_t i) {
  const uint32_t group = block.args->heads / block.args->cache.shape.kv_heads;
  return {block.sequence->first_row + (block.first + i) / group, block.kv_head * group + (block.first + i) % group};
}

// The first position that a row at `position` sees.
[[gnu::always_inline]] inline uint32_t oldest_seen(const device::AttentionArgs& args, uint32_t position) {
  if (args.chunked) return position / args.window * args.window;
  return args.window != 0 && position >= args.window ? position - args.window + 1 : 0;
}

template <class V>
[[gnu::always_inline]] inline void start_rows(const AttentionBlock& block, AttentionRows<V>& rows) {
  const device::AttentionArgs& args = *block.args;
  const uint32_t group = args.heads / args.cache.shape.kv_heads, key_dim = args.cache.shape.key_dim;
  for (uint32_t i = 0; i < block.rows; ++i) {
    const QueryRow query = query_row(block, i);
    rows.positions[i] = block.sequence->first_position + (block.first + i) / group;
    rows.ends[i] = block.ends[query.row];
    const float* from = args.q + size_t{query.row} * args.q_stride + query.head * key_dim;
    for (uint32_t d = 0; d < key_dim; ++d) rows.q[i * key_dim + d] = from[d] * args.scale;
  }
  std::fill_n(rows.sums, size_t{block.rows} * args.cache.shape.value_dim, 0.0f);
}

// Makes weights of the scores of the page that begins at position `start`, and brings the sums into relation to them.
template <class V>
[[gnu::always_inline]] inline void weigh_page(const AttentionBlock& block, uint32_t start, AttentionRows<V>& rows) {
  const device::AttentionArgs& args = *block.args;
  const uint32_t value_dim = args.cache.shape.value_dim;
  for (uint32_t i = 0; i < block.rows; ++i) {
    const uint32_t position = rows.positions[i];
    const uint32_t from = std::max(oldest_seen(args, position), start) - start;
    const uint32_t to = rows.ends[i] <= start ? 0 : std::min(kPage_tokens, rows.ends[i] - start);
    float* scores = rows.scores + i * kPage_tokens;
    if (from >= to) {
      std::fill_n(scores, kPage_tokens, 0.0f);
      continue;
    }
    const float factor = softmax_page<V>(scores, from, to, args.soft_cap, rows.states[i]);
    if (factor == 1.0f) continue;
    float* sums = rows.sums + i * value_dim;
    for_vectors<V>(value_dim,
                   [&](uint32_t d, auto load, auto store) { store(sums + d, V::mul(load(sums + d), V::set(factor))); });
  }
}

// Adds the values of the page's first `tokens` positions, times their weights.
template <class V, CacheType kType>
[[gnu::always_inline]] inline void add_page(const AttentionBlock& block, const std::byte* values, uint32_t tokens,
                                            AttentionRows<V>& rows) {
  constexpr int kValueRows = V::kValueRows, kVectors = V::kValueVectors;
  const device::CacheShape& shape = block.args->cache.shape;
  const uint32_t value_dim = shape.value_dim;
  const size_t row_bytes = value_row_bytes(shape);
  for (uint32_t i = 0; i < block.rows; i += kValueRows) {
    with_constant<kValueRows>(static_cast<int>(std::min<uint32_t>(kValueRows, block.rows - i)), [&]<int R>() {
      const float* weights = rows.scores + i * kPage_tokens;
      float* to = rows.sums + i * value_dim;
      uint32_t d = 0;
      for (; d + kVectors * V::kLanes <= value_dim; d += kVectors * V::kLanes)
        add_values<V, kType, R, kVectors>(weights, tokens, values, row_bytes, d, V::kLanes, to, value_dim);
      for (; d < value_dim; d += V::kLanes)
        add_values<V, kType, R, 1>(weights, tokens, values, row_bytes, d,
                                   std::min(V::kLanes, static_cast<int>(value_dim - d)), to, value_dim);
    });
  }
}

template <class V>
[[gnu::always_inline]] inline void finish_rows(const AttentionBlock& block, const AttentionRows<V>& rows) {
  const uint32_t value_dim = block.args->cache.shape.value_dim;
  for (uint32_t i = 0; i < block.rows; ++i) {
    const QueryRow query = query_row(block, i);
    float* to = block.out + size_t{query.row} * block.args->heads * value_dim + query.head * value_dim;
    const device::Vector& sinks = block.args->sinks;
    const float highest = rows.states[i].highest;
    const float sink = sinks ? std::exp(std::min(sinks.data[query.head] - highest, 80.0f)) : 0;
    const float inverse = 1.0f / (rows.states[i].total + sink);
    for (uint32_t d = 0; d < value_dim; ++d) to[d] = rows.sums[i * value_dim + d] * inverse;
  }
}

template <class V, CacheType kType>
void attend(const AttentionBlock& block) {
  constexpr int kRows = V::kAttentionRows;
  const device::AttentionArgs& args = *block.args;
  const device::CacheShape& shape = args.cache.shape;
  thread_local FloatScratch<V> scratch;
  AttentionRows<V> rows;
  rows.q = scratch.at_least(size_t{kRows} * (shape.key_dim + shape.value_dim));
  rows.sums = rows.q + size_t{kRows} * shape.key_dim;
  start_rows<V>(block, rows);
  const uint32_t oldest = oldest_seen(args, rows.positions[0]),
                 end = *std::max_element(rows.ends, rows.ends + block.rows);
  for (uint32_t start = oldest / kPage_tokens * kPage_tokens; start < end; start += kPage_tokens) {
    const int32_t page = block.sequence->pages[start / kPage_tokens];
    const std::byte* keys = key_head(args.cache, page, block.kv_head);
    with_constant<kRows>(static_cast<int>(block.rows),
                         [&]<int R>() { page_scores<V, kType, R>(rows.q, shape.key_dim, keys, rows.scores); });
    weigh_page<V>(block, start, rows);
    add_page<V, kType>(block, value_head(args.cache, page, block.kv_head), std::min(kPage_tokens, end - start), rows);
  }
  finish_rows<V>(block, rows);
}

}  // namespace hearth::cpu
