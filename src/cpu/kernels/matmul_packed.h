// The float matmul for many activation rows: activations and panels of weights are packed so that a vector's lanes are
// activation rows, and every value that is loaded serves a whole register tile (Goto and van de Geijn, "Anatomy of
// High-Performance Matrix Multiplication", 2008).
//
// The results are those of multiply_floats() to the last bit. There lane j sums columns j, j + kLanes, j + 2 kLanes and
// so on of a chunk, and V::sum() adds lanes that are kLanes / 2 apart, then kLanes / 4, and so on. Here what is one
// lane there is a "phase". Phases are packed and summed in bit-reversed order, so that two sums that belong together
// follow each other and are added at once.
#pragma once

#include <algorithm>
#include <bit>
#include <memory>

#include "base/checked.h"
#include "cpu/kernels/constant.h"
#include "cpu/kernels/matmul_args.h"

namespace hearth::cpu {

inline constexpr uint32_t kFloatChunk = 1024;  // columns that are summed before the sum is added to the result

// Activations lie in pieces: a chunk of columns of a block of up to kVectors * kLanes activation rows, as
// [phase][step][activation row].
template <class V>
class PackedLayout {
 public:
  static constexpr uint32_t kLanes = V::kLanes, kVectors = V::kPackedVectors;
  // Floats between phases, which would otherwise compete for the same places of the first cache.
  static constexpr uint32_t kApart = 16;
  static constexpr size_t kPiece = size_t{kFloatChunk} * kVectors * kLanes + kLanes * kApart;

  PackedLayout(uint32_t count, uint32_t cols)
      : count_(count),
        cols_(cols),
        vectors_(static_cast<uint32_t>(divide_up(count, kLanes))),
        blocks_(static_cast<uint32_t>(divide_up(vectors_, kVectors))),
        chunks_(static_cast<uint32_t>(divide_up(cols, kFloatChunk))) {}

  uint32_t blocks() const { return blocks_; }
  uint32_t pieces() const { return blocks_ * chunks_; }
  // The first activation row of a block; blocks are as equal as can be.
  uint32_t first(uint32_t block) const { return block * vectors_ / blocks_ * kLanes; }
  uint32_t width(uint32_t block) const { return first(block + 1) - first(block); }
  size_t offset(uint32_t block, uint32_t column) const { return (block * chunks_ + column / kFloatChunk) * kPiece; }

  // Where the phase of a lane comes.
  static constexpr uint32_t reversed(uint32_t lane) {
    uint32_t bits = 0;
    for (uint32_t bit = 1; bit < kLanes; bit *= 2) bits = bits * 2 + (lane / bit & 1);
    return bits;
  }
  // Floats from one phase to the next.
  static size_t phase(uint32_t columns, uint32_t width) { return divide_up(columns, kLanes) * width + kApart; }

  // Packs one piece of `rows`.
  void pack(const float* const* rows, uint32_t piece, float* to) const {
    const uint32_t block = piece / chunks_, column = piece % chunks_ * kFloatChunk;
    for (uint32_t t = 0; t < width(block); t += kLanes) {
      const float* some[kLanes];
      for (uint32_t i = 0; i < kLanes; ++i) some[i] = rows[std::min(first(block) + t + i, count_ - 1)] + column;
      interleave(some, std::min(kFloatChunk, cols_ - column), width(block), to + piece * kPiece + t);
    }
  }

  // Puts kLanes rows beside each other, `width` of them in all; after the last column there are zeros.
  static void interleave(const float* const (&rows)[kLanes], uint32_t columns, uint32_t width, float* to) {
    const size_t apart = phase(columns, width);
    const auto four_columns = [&](auto row, uint32_t column) {
      typename V::I x[4];
      V::transpose16(row, x);
      for (uint32_t i = 0; i < 4; ++i)
        V::store_int(to + reversed((column + i) % kLanes) * apart + (column + i) / kLanes * width, x[i]);
    };
    const uint32_t whole = columns / kLanes * kLanes;
    for (uint32_t c = 0; c < whole; c += 4) four_columns([&](uint32_t r) { return rows[r] + c; }, c);
    if (whole == columns) return;
    float ends[kLanes][kLanes] = {};
    for (uint32_t r = 0; r < kLanes; ++r) std::copy(rows[r] + whole, rows[r] + columns, ends[r]);
    for (uint32_t c = 0; c < kLanes; c += 4) four_columns([&](uint32_t r) { return ends[r] + c; }, whole + c);
  }

 private:
  uint32_t count_, cols_, vectors_, blocks_, chunks_;
};

// Rows [begin, end) and columns [column, column + columns) of a product whose activations are packed.
template <class V>
class PackedPanel {
 public:
  PackedPanel(const MatmulArgs& args, uint32_t column, uint32_t columns, uint32_t begin, uint32_t end)
      : args_(args), layout_(args.count, args.cols), column_(column), columns_(columns), begin_(begin), end_(end) {}

  // `row(r, buffer)`: the values of weight row r in these columns, where they are or written to the buffer.
  template <class Row>
  void multiply(Row row) const {
    pack_weights(row);
    for (uint32_t block = 0; block < layout_.blocks(); ++block)
      with_constant<Layout::kVectors>(static_cast<int>(layout_.width(block) / kLanes),
                                      [&]<int T>() { multiply_block<T>(block); });
  }

 private:
  using F = typename V::F;
  using I = typename V::I;
  using Layout = PackedLayout<V>;
  static constexpr uint32_t kLanes = V::kLanes, kRows = V::kPackedRows;
  static constexpr int kLevels = std::countr_zero(kLanes);
  static_assert(kPanelRows % kRows == 0 && kPanelRows % kLanes == 0);

  struct Scratch {
    alignas(64) float weights[kFloatChunk * kPanelRows + kLanes * Layout::kApart];  // [phase][step][row]
    // [level][row][activation row]: sums of 1, 2, 4 ... phases
    alignas(64) float sums[kLevels + 1][kPanelRows * Layout::kVectors * kLanes + Layout::kApart];
    alignas(64) float rows[kLanes][kFloatChunk];
  };
  static Scratch& scratch() {
    thread_local const auto own = std::make_unique<Scratch>();
    return *own;
  }

  // What is missing in the last vector is computed like the last row, and dropped.
  template <class Row>
  void pack_weights(Row row) const {
    for (uint32_t r = begin_; r < end_; r += kLanes) {
      const float* rows[kLanes];
      for (uint32_t i = 0; i < kLanes; ++i) rows[i] = row(std::min(r + i, end_ - 1), scratch().rows[i]);
      Layout::interleave(rows, columns_, kPanelRows, scratch().weights + (r - begin_));
    }
  }

  template <int T>
  void multiply_block(uint32_t block) const {
    const float* values = args_.packed + layout_.offset(block, column_);
    for (uint32_t phase = 0; phase < kLanes; ++phase) {
      for (uint32_t r = 0; r < end_ - begin_; r += kRows)
        multiply_tile<T>(scratch().weights + phase * Layout::phase(columns_, kPanelRows) + r,
                         values + phase * Layout::phase(columns_, T * kLanes), r, std::countr_one(phase));
    }
    add_sums(block);
  }

  // One phase of kRows weight rows and T vectors of activation rows, added to the sums of the `level` levels that it
  // completes.
  template <int T>
  [[gnu::noinline]] void multiply_tile(const float* weights, const float* values, uint32_t row, int level) const {
    F sum[kRows][T];
#pragma GCC unroll 16
    for (uint32_t r = 0; r < kRows; ++r)
#pragma GCC unroll 4
      for (int t = 0; t < T; ++t) sum[r][t] = V::zero();
    // Every tile of the panel fetches a part of the next phase.
    const float* next = values + Layout::phase(columns_, T * kLanes) + row * columns_ * T / kPanelRows;
    for (uint32_t column = 0; column < columns_; column += kLanes, weights += kPanelRows, values += T * kLanes) {
      __builtin_prefetch(next + column * T * kRows / kPanelRows, 0, 3);
      F x[T];
#pragma GCC unroll 4
      for (int t = 0; t < T; ++t) x[t] = V::load(values + static_cast<uint32_t>(t) * kLanes);
#pragma GCC unroll 16
      for (uint32_t r = 0; r < kRows; ++r) {
        const F w = V::set(weights[r]);
#pragma GCC unroll 4
        for (int t = 0; t < T; ++t) sum[r][t] = V::fma(w, x[t], sum[r][t]);
      }
    }
    auto& sums = scratch().sums;
#pragma GCC unroll 16
    for (uint32_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (uint32_t t = 0; t < T; ++t) {
        const size_t at = ((size_t{row} + r) * T + t) * kLanes;
        for (int lower = 0; lower < level; ++lower) sum[r][t] = V::add(V::load(sums[lower] + at), sum[r][t]);
        V::store(sums[level] + at, sum[r][t]);
      }
    }
  }

  void add_sums(uint32_t block) const {
    const uint32_t width = layout_.width(block), first = layout_.first(block);
    const uint32_t count = std::min(width, args_.count - first);
    for (uint32_t r = begin_; r < end_; r += kLanes) {
      const int rows = static_cast<int>(std::min(kLanes, end_ - r));
      const float* sums = scratch().sums[kLevels] + size_t{r - begin_} * width;
      for (uint32_t t = 0; t < count; t += 4) {
        I x[4];
        V::transpose16([&](uint32_t i) { return sums + size_t{i} * width + t; }, x);
        for (uint32_t i = 0; i < std::min(4u, count - t); ++i)
          add(V::as_float(x[i]), args_.out[first + t + i] + r, rows);
      }
    }
  }
  static void add(F x, float* out, int n) {
    if (n == static_cast<int>(kLanes))
      V::store(out, V::add(V::load(out), x));
    else
      V::store_n(out, V::add(V::load_n(out, n), x), n);
  }

  const MatmulArgs& args_;
  const Layout layout_;
  const uint32_t column_, columns_, begin_, end_;
};

}  // namespace hearth::cpu
