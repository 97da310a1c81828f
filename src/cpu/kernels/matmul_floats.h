// The float matmul: rows of F32, F16 or BF16 weights, or of any other format decoded on the way, times
// float32 activations. Sums run over kFloatChunk columns at a time in V's lanes, whatever the shape of
// the register tile, so that a result does not depend on how many activation rows come together. For many of
// them: matmul_packed.h.
#pragma once

#include <algorithm>

#include "cpu/kernels/matmul_args.h"
#include "cpu/kernels/matmul_packed.h"
#include "cpu/kernels/scratch.h"
#include "quant/format.h"

namespace hearth::cpu {

struct F32 {
  static constexpr uint32_t kType = 0;
  using Value = float;
  template <class V>
  static typename V::F load(const Value* p) {
    return V::load(p);
  }
  template <class V>
  static typename V::F load_n(const Value* p, int n) {
    return V::load_n(p, n);
  }
};

struct F16 {
  static constexpr uint32_t kType = 1;
  using Value = uint16_t;
  template <class V>
  static typename V::F load(const Value* p) {
    return V::load_half(p);
  }
  template <class V>
  static typename V::F load_n(const Value* p, int n) {
    return V::load_half_n(p, n);
  }
};

struct BF16 {
  static constexpr uint32_t kType = 30;
  using Value = uint16_t;
  template <class V>
  static typename V::F load(const Value* p) {
    return V::load_bfloat(p);
  }
  template <class V>
  static typename V::F load_n(const Value* p, int n) {
    return V::load_bfloat_n(p, n);
  }
};

// out[r] += the sum of all lanes of x[r].
template <class V, int R>
[[gnu::always_inline]] inline void add_sums(const typename V::F (&x)[R], float* out) {
  if constexpr (R == 4 && requires { V::sum4(x[0], x[0], x[0], x[0]); }) {
    const auto sums = V::sum4(x[0], x[1], x[2], x[3]);
    for (int r = 0; r < R; ++r) out[r] += sums[r];
  } else {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) out[r] += V::sum(x[r]);
  }
}

// out[t][r] += the dot product of `columns` values, for R weight rows and T activation rows. Meanwhile the rows that
// lie `ahead` values further on are fetched.
template <class V, class Format, int R, int T>
[[gnu::noinline]] void multiply_floats(const typename Format::Value* weights, size_t stride, const float* const* in,
                                       size_t in_offset, uint32_t columns, float* const* out, size_t out_offset,
                                       size_t ahead) {
  using F = typename V::F;
  const float* a[T];
  F sum[T][R];
#pragma GCC unroll 8
  for (int t = 0; t < T; ++t) {
    a[t] = in[t] + in_offset;
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) sum[t][r] = V::zero();
  }
  const auto step = [&](uint32_t i, auto load_weights, auto load_values) __attribute__((always_inline)) {
    F w[R];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const auto* from = weights + static_cast<size_t>(r) * stride + i;
      __builtin_prefetch(from + ahead, 0, 3);
      w[r] = load_weights(from);
    }
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) {
      const F x = load_values(a[t] + i);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) sum[t][r] = V::fma(w[r], x, sum[t][r]);
    }
  };
  uint32_t i = 0;
  for (; i + V::kLanes <= columns; i += V::kLanes)
    step(
        i, [](auto* p) { return Format::template load<V>(p); }, [](const float* p) { return V::load(p); });
  if (const int n = static_cast<int>(columns - i); n > 0)
    step(
        i, [n](auto* p) { return Format::template load_n<V>(p, n); }, [n](const float* p) { return V::load_n(p, n); });
#pragma GCC unroll 8
  for (int t = 0; t < T; ++t) add_sums<V, R>(sum[t], out[t] + out_offset);
}

// Rows [begin, end), columns [column, column + columns), weights at `weights` with `stride` values per row.
template <class V, class Format>
void multiply_float_panel(const MatmulArgs& args, const typename Format::Value* weights, size_t stride, uint32_t column,
                          uint32_t columns, uint32_t begin, uint32_t end) {
  const int count = static_cast<int>(args.count);
  const int parts = (count + V::kFloatTokens - 1) / V::kFloatTokens;
  for (int part = 0, t = 0; part < parts; ++part) {
    const int tokens = (count - t + parts - part - 1) / (parts - part);
    with_constant<V::kFloatTokens>(tokens, [&]<int T>() {
      for (uint32_t r = begin; r < end;) {
        const int rows = static_cast<int>(std::min<uint32_t>(V::kFloatRows, end - r));
        const auto* from = weights + (r - begin) * stride;
        const bool last = r + 2 * static_cast<uint32_t>(V::kFloatRows) > args.rows;
        const size_t ahead = last || part > 0 ? 0 : static_cast<size_t>(V::kFloatRows) * stride;
        with_constant<V::kFloatRows>(rows, [&]<int R>() {
          multiply_floats<V, Format, R, T>(from, stride, args.floats + t, column, columns, args.out + t, r, ahead);
        });
        r += static_cast<uint32_t>(rows);
      }
    });
    t += tokens;
  }
}

// `to` gets `columns` values of a weight row.
template <class V, class Format>
void widen(const typename Format::Value* from, uint32_t columns, float* to) {
  uint32_t i = 0;
  for (; i + V::kLanes <= columns; i += V::kLanes) V::store(to + i, Format::template load<V>(from + i));
  if (const int n = static_cast<int>(columns - i); n > 0)
    V::store_n(to + i, Format::template load_n<V>(from + i, n), n);
}

template <class V, class Format>
void matmul_floats(const MatmulArgs& args, uint32_t begin, uint32_t end) {
  using Value = typename Format::Value;
  const size_t stride = args.row_bytes / sizeof(Value);
  for (uint32_t column = 0; column < args.cols; column += kFloatChunk) {
    const uint32_t columns = std::min(kFloatChunk, args.cols - column);
    const Value* rows = reinterpret_cast<const Value*>(args.weight) + column;
    if (args.packed == nullptr) {
      multiply_float_panel<V, Format>(args, rows + begin * stride, stride, column, columns, begin, end);
    } else {
      PackedPanel<V>(args, column, columns, begin, end).multiply([&](uint32_t row, float* buffer) {
        widen<V, Format>(rows + row * stride, columns, buffer);
        return buffer;
      });
    }
  }
}

// Any format, decoded to float32 panel by panel: correct, not fast.
template <class V>
void matmul_decoded(const quant::Format& format, const MatmulArgs& args, uint32_t begin, uint32_t end) {
  thread_local FloatScratch<V> scratch;
  float* const panel = scratch.at_least(size_t{kPanelRows} * kFloatChunk);
  MatmulArgs decoded = args;
  decoded.rows = begin;  // nothing to fetch ahead
  for (uint32_t column = 0; column < args.cols; column += kFloatChunk) {
    const uint32_t columns = std::min(kFloatChunk, args.cols - column);
    const auto decode = [&](uint32_t row, float* to) {
      format.decode(args.weight + row * args.row_bytes + format.bytes(column), columns, to);
      return to;
    };
    if (args.packed == nullptr) {
      for (uint32_t r = begin; r < end; ++r) decode(r, panel + size_t{r - begin} * kFloatChunk);
      multiply_float_panel<V, F32>(decoded, panel, kFloatChunk, column, columns, begin, end);
    } else {
      PackedPanel<V>(args, column, columns, begin, end).multiply(decode);
    }
  }
}

}  // namespace hearth::cpu
