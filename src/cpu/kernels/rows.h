// Where the kernels read weights: one vector of rows, as rows lie in a file or interleaved.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "cpu/interleave.h"
#include "cpu/kernels/matmul_args.h"

namespace hearth::cpu {

template <class Format>
inline constexpr BlockLayout kLayout{Format::kBlockValues, Format::kBlockBytes};

// What is worth fetching while rows before `row` are multiplied: the next `count` rows, or the last ones again.
inline const uint8_t* rows_after(const MatmulArgs& args, uint32_t row, uint32_t count) {
  return args.weight + std::min(row, args.rows - std::min(args.rows, count)) * args.row_bytes;
}

// Rows one after the other: what belongs together in a vector is brought together by shuffling.
template <class V, class Format>
class PlainRows {
 public:
  using I = typename V::I;
  using F = typename V::F;

  PlainRows(const uint8_t* base, size_t stride) : base_(base), stride_(stride) {}
  [[gnu::always_inline]] static PlainRows of(const uint8_t* weight, size_t row_bytes, uint32_t row) {
    return {weight + row * row_bytes, row_bytes};
  }
  // What to fetch while a vector of rows is multiplied, chunk after chunk the lines of so many rows: the rows after it.
  // Hardware prefetchers do not follow as many streams.
  static constexpr uint32_t kFetchedRows = V::kLanes;
  [[gnu::always_inline]] static const uint8_t* ahead(const MatmulArgs& args, uint32_t row) {
    return rows_after(args, row + V::kLanes, V::kLanes);
  }
  [[gnu::always_inline]] PlainRows at(int block) const {
    return {base_ + static_cast<size_t>(block) * Format::kBlockBytes, stride_};
  }

  // Lane r: the 4 bytes at `offset` of row r's block; words: out[i] has those at offset + 4 i, for i < 4. The offset
  // is that of a whole word (BlockLayout).
  [[gnu::always_inline]] I word(int offset) const { return V::gather(base_ + offset, stride_); }
  [[gnu::always_inline]] void words(int offset, I* out) const {
    V::transpose16([&](uint32_t row) { return base_ + offset + row * stride_; }, out);
  }
  // What the block has besides words: a half, or a byte.
  [[gnu::always_inline]] F half() const {
    static_assert(kLayout<Format>.odd() == 2);
    if constexpr (kLayout<Format>.odd_offset() == 0)
      return V::half_low(word(0));
    else
      return V::half_high(word(static_cast<int>(kLayout<Format>.odd_offset()) - 2));
  }
  [[gnu::always_inline]] I byte() const {
    static_assert(kLayout<Format>.odd() == 1 && kLayout<Format>.odd_offset() == 0);
    return V::and_(word(0), V::set_int(255));
  }

 private:
  const uint8_t* base_;
  size_t stride_;
};

// Rows of an interleaved group (cpu/interleave.h): a vector is loaded as it lies there.
template <class V, class Format>
class InterleavedRows {
 public:
  using I = typename V::I;
  using F = typename V::F;
  static_assert(kInterleavedRows % V::kLanes == 0);

  // What comes next in memory, far enough for its latency and near enough to find it in the first cache.
  static constexpr uint32_t kFetchedRows = kInterleavedRows;
  [[gnu::always_inline]] static const uint8_t* ahead(const MatmulArgs& args, uint32_t row) {
    constexpr size_t kAhead_bytes = 4096;
    return args.weight + row / kInterleavedRows * kInterleavedRows * args.row_bytes + kAhead_bytes;
  }

  InterleavedRows(const uint8_t* group, uint32_t lane) : group_(group), lane_(lane) {}
  [[gnu::always_inline]] static InterleavedRows of(const uint8_t* weight, size_t row_bytes, uint32_t row) {
    const uint32_t lane = V::kLanes == kInterleavedRows ? 0 : row % kInterleavedRows;
    return {weight + (row - lane) * row_bytes, lane};
  }
  [[gnu::always_inline]] InterleavedRows at(int block) const {
    return {group_ + static_cast<size_t>(block) * kInterleavedRows * Format::kBlockBytes, lane_};
  }

  [[gnu::always_inline]] I word(int offset) const {
    return V::load_int(group_ + kLayout<Format>.word_at(static_cast<uint32_t>(offset) / 4, lane_));
  }
  [[gnu::always_inline]] void words(int offset, I* out) const {
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) out[i] = word(offset + 4 * i);
  }
  [[gnu::always_inline]] F half() const {
    static_assert(kLayout<Format>.odd() == 2);
    return V::load_half(reinterpret_cast<const uint16_t*>(group_ + kLayout<Format>.odd_at(lane_)));
  }
  [[gnu::always_inline]] I byte() const {
    static_assert(kLayout<Format>.odd() == 1);
    return V::load_bytes(group_ + kLayout<Format>.odd_at(lane_));
  }

 private:
  const uint8_t* group_;
  uint32_t lane_;
};

// A group of plain rows, `row_bytes` each, interleaved into `to`.
template <class V, class Format>
void interleave_group(const uint8_t* from, size_t row_bytes, uint8_t* to) {
  constexpr BlockLayout kBytes = kLayout<Format>;
  constexpr uint32_t kFirst = kBytes.first_word_offset();
  const uint32_t blocks = static_cast<uint32_t>(row_bytes / Format::kBlockBytes);
  for (uint32_t b = 0; b < blocks; ++b, to += kInterleavedRows * Format::kBlockBytes) {
    for (uint32_t row = 0; row < kInterleavedRows; row += V::kLanes) {
      const auto rows = PlainRows<V, Format>::of(from, row_bytes, row).at(static_cast<int>(b));
      uint32_t w = 0;
      for (; w + 4 <= kBytes.words(); w += 4) {
        typename V::I x[4];
        rows.words(static_cast<int>(kFirst + 4 * w), x);
        for (uint32_t i = 0; i < 4; ++i) V::store_int(to + kBytes.word_at(w + i, row), x[i]);
      }
      for (; w < kBytes.words(); ++w)
        V::store_int(to + kBytes.word_at(w, row), rows.word(static_cast<int>(kFirst + 4 * w)));
    }
    for (uint32_t row = 0; row < kInterleavedRows; ++row)
      for (uint32_t i = 0; i < kBytes.odd(); ++i)
        to[kBytes.odd_at(row) + i] = from[row * row_bytes + b * Format::kBlockBytes + kBytes.odd_offset() + i];
  }
}

}  // namespace hearth::cpu
