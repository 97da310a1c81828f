// The float matmul on the matrix unit (Intel AMX, bfloat16 tiles; Intel 64 and IA-32 Architectures Optimization
// Reference Manual, chapter "Intel AMX"), as exact as float32: a float32 is the sum of three bfloats, a float16 of two,
// so that products of parts make the product of the whole (Henry, Tang, Heinecke, "Leveraging the bfloat16 Artificial
// Intelligence Datatype For Higher-Precision Computations", 2019). Those below 2^-22 of it are left out. The unit takes
// what is smaller than 2^-126 for zero.
//
// A result depends on its activation row and its weight row alone, not on how many come together; but its sum has
// another order than that of multiply_floats().
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/checked.h"
#include "cpu/kernels/matmul_args.h"

namespace hearth::cpu::amx {

inline constexpr uint32_t kTileRows = 16, kTileValues = 32;  // of a tile: rows of 32 values, or pairs of 16 weight rows
inline constexpr size_t kTile_bytes = 1024;
inline constexpr uint32_t kParts = 3;  // of a float32
inline constexpr uint32_t kChunk = 1024;
// Columns whose tiles of activations stay in the first cache while they meet all weights of a panel.
inline constexpr uint32_t kNear = 64;
// Of a panel: its weights stay in the second cache while all activations pass.
inline constexpr uint32_t kMostRows = 256;
// Columns of 16 weight rows that are float32 at a time: whole blocks of any format.
inline constexpr uint32_t kWide = 256;
inline constexpr uint32_t kBlockRows = 2 * kTileRows;  // activation rows that are multiplied together

// The parts of 32 floats, each cut off after what fits a bfloat, so that all are exact and no part is beyond the range.
struct Parts {
  __m512i part[kParts];

  explicit Parts(__m512 low, __m512 high) {
    const __m512i upper_half = _mm512_set1_epi32(static_cast<int>(0xffff0000));
    const __m512i upper_words = _mm512_loadu_si512(kUpperWords);
    for (__m512i& one : part) {
      const __m512i first = _mm512_castps_si512(low), second = _mm512_castps_si512(high);
      one = _mm512_permutex2var_epi16(first, upper_words, second);
      low = _mm512_sub_ps(low, _mm512_castsi512_ps(_mm512_and_si512(first, upper_half)));
      high = _mm512_sub_ps(high, _mm512_castsi512_ps(_mm512_and_si512(second, upper_half)));
    }
  }

 private:
  static constexpr uint16_t kUpperWords[32] = {1,  3,  5,  7,  9,  11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31,
                                               33, 35, 37, 39, 41, 43, 45, 47, 49, 51, 53, 55, 57, 59, 61, 63};
};

// Up to 32 floats; zeros behind them.
template <class V>
Parts parts_of(const float* from, uint32_t count) {
  if (count >= kTileValues) return Parts(V::load(from), V::load(from + V::kLanes));
  const auto lanes = static_cast<uint32_t>(V::kLanes);
  const __m512 low = count >= lanes ? V::load(from) : V::load_n(from, static_cast<int>(count));
  return Parts(low, count > lanes ? V::load_n(from + lanes, static_cast<int>(count - lanes)) : V::zero());
}

// Activations lie in pieces: kBlockRows rows of a chunk of columns, as [kTileValues columns][part][tile].
class PackedBlocks {
 public:
  static constexpr size_t kStep_bytes = kParts * 2 * kTile_bytes;  // of kTileValues columns
  static constexpr size_t kPiece_bytes = kChunk / kTileValues * kStep_bytes;

  PackedBlocks(uint32_t count, uint32_t cols)
      : count_(count), cols_(cols), chunks_(static_cast<uint32_t>(divide_up(cols, kChunk))) {}

  uint32_t blocks() const { return static_cast<uint32_t>(divide_up(count_, kBlockRows)); }
  uint32_t pieces() const { return blocks() * chunks_; }
  size_t offset(uint32_t block, uint32_t column) const {
    return (size_t{block} * chunks_ + column / kChunk) * kPiece_bytes;
  }

  template <class V>
  void pack(const float* const* rows, uint32_t piece, std::byte* to) const {
    const uint32_t first = piece / chunks_ * kBlockRows, column = piece % chunks_ * kChunk;
    const uint32_t columns = std::min(kChunk, cols_ - column);
    to += piece * kPiece_bytes;
    for (uint32_t r = 0; r < kBlockRows; ++r) {
      std::byte* at = to + r / kTileRows * kTile_bytes + r % kTileRows * sizeof(__m512i);
      const bool there = first + r < count_;
      for (uint32_t c = 0; c < columns; c += kTileValues, at += kStep_bytes) {
        const Parts parts =
            there ? parts_of<V>(rows[first + r] + column + c, columns - c) : Parts(V::zero(), V::zero());
        for (uint32_t p = 0; p < kParts; ++p) _mm512_storeu_si512(at + p * 2 * kTile_bytes, parts.part[p]);
      }
    }
  }

 private:
  uint32_t count_, cols_, chunks_;
};

// What every tile holds: 16 rows of 64 bytes.
struct alignas(64) TileShapes {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// Rows [begin, end) and columns [column, column + columns) of a product whose activations are packed; the weights are
// cut into `kCut` parts.
template <class V, uint32_t kCut>
class Panel {
 public:
  Panel(const MatmulArgs& args, uint32_t column, uint32_t columns, uint32_t begin, uint32_t end)
      : args_(args), column_(column), columns_(columns), begin_(begin), end_(end) {}

  // `row(r, first, count, to)` writes `count` values of weight row r, from the `first` of these columns on.
  template <class Row>
  void multiply(Row row) const {
    pack_weights(row);
    const TileShapes shapes;
    _tile_loadconfig(&shapes);
    const PackedBlocks layout(args_.count, args_.cols);
    for (uint32_t block = 0; block < layout.blocks(); ++block) {
      const std::byte* values = reinterpret_cast<const std::byte*>(args_.packed) + layout.offset(block, column_);
      const uint32_t first = block * kBlockRows, count = std::min(kBlockRows, args_.count - first);
      count > kTileRows ? multiply_block<2>(values) : multiply_block<1>(values);
      add_sums(first, count);
    }
    _tile_release();
  }

 private:
  static constexpr uint32_t kPairs = kMostRows / kBlockRows;  // of tiles of weights
  static constexpr size_t kStep_bytes = kCut * 2 * kTile_bytes, kPair_bytes = kChunk / kTileValues * kStep_bytes;
  static constexpr size_t kAhead_bytes = PackedBlocks::kStep_bytes / kPairs;

  struct Scratch {
    alignas(64) std::byte weights[kPairs * kPair_bytes];                // [pair][kTileValues columns][part][tile]
    alignas(64) float sums[kPairs][2][2][kTile_bytes / sizeof(float)];  // [pair][tile of activations][tile of weights]
    alignas(64) float rows[kTileRows][kWide];
    alignas(64) uint32_t parts[kCut][kTileRows][kTileRows];  // of 16 weight rows, two values each
  };
  static Scratch& scratch() {
    thread_local const auto own = std::make_unique<Scratch>();
    return *own;
  }

  uint32_t steps() const { return static_cast<uint32_t>(divide_up(columns_, kTileValues)); }

  // A row of a tile has two values of each of 16 weight rows; where there are fewer, the last one again.
  template <class Row>
  void pack_weights(Row row) const {
    Scratch& own = scratch();
    for (uint32_t tile = 0; tile * kTileRows < end_ - begin_; ++tile) {
      std::byte* to = own.weights + tile / 2 * kPair_bytes + tile % 2 * kTile_bytes;
      for (uint32_t column = 0; column < columns_; column += kWide) {
        const uint32_t columns = std::min(kWide, columns_ - column);
        for (uint32_t i = 0; i < kTileRows; ++i)
          row(std::min(begin_ + tile * kTileRows + i, end_ - 1), column, columns, own.rows[i]);
        for (uint32_t c = 0; c < columns; c += kTileValues, to += kStep_bytes) pack_tiles(c, columns - c, to);
      }
    }
  }
  void pack_tiles(uint32_t column, uint32_t columns, std::byte* to) const {
    Scratch& own = scratch();
    for (uint32_t i = 0; i < kTileRows; ++i) {
      const Parts parts = parts_of<V>(own.rows[i] + column, columns);
      for (uint32_t p = 0; p < kCut; ++p) _mm512_store_si512(own.parts[p][i], parts.part[p]);
    }
    for (uint32_t p = 0; p < kCut; ++p, to += 2 * kTile_bytes) {
      for (uint32_t pair = 0; pair < kTileRows; pair += 4) {
        typename V::I x[4];
        V::transpose16([&](uint32_t r) { return &own.parts[p][r][pair]; }, x);
        for (uint32_t i = 0; i < 4; ++i) V::store_int(to + (pair + i) * sizeof(__m512i), x[i]);
      }
    }
  }

  // kTiles tiles of activation rows times the panel. Every pair of tiles of weights fetches its share of the
  // activations that come next.
  template <int kTiles>
  void multiply_block(const std::byte* values) const {
    constexpr uint32_t kSteps = kNear / kTileValues;
    Scratch& own = scratch();
    for (uint32_t step = 0; step < steps(); step += kSteps, values += kSteps * PackedBlocks::kStep_bytes) {
      const uint32_t count = std::min(kSteps, steps() - step);
      const std::byte* next = values + kSteps * PackedBlocks::kStep_bytes;
      for (uint32_t pair = 0; pair * kBlockRows < end_ - begin_; ++pair, next += kSteps * kAhead_bytes) {
        const std::byte* weights = own.weights + pair * kPair_bytes + step * kStep_bytes;
        // Whether the second tile of the pair has any rows.
        if (end_ - begin_ > pair * kBlockRows + kTileRows)
          multiply_tiles<kTiles, 2>(values, weights, count, next, step == 0, own.sums[pair]);
        else
          multiply_tiles<kTiles, 1>(values, weights, count, next, step == 0, own.sums[pair]);
      }
    }
  }

  // Tiles 0 to 3: sums; 4 and 5: activations; 6 and 7: weights.
  template <int kTiles, int kWeights>
  [[gnu::noinline]] static void multiply_tiles(const std::byte* values, const std::byte* weights, uint32_t steps,
                                               const std::byte* next, bool begins,
                                               float (&sums)[2][2][kTile_bytes / sizeof(float)]) {
    if (begins) {
      _tile_zero(0);
      if constexpr (kWeights == 2) _tile_zero(1);
      if constexpr (kTiles == 2) _tile_zero(2);
      if constexpr (kTiles == 2 && kWeights == 2) _tile_zero(3);
    } else {
      _tile_loadd(0, sums[0][0], 64);
      if constexpr (kWeights == 2) _tile_loadd(1, sums[0][1], 64);
      if constexpr (kTiles == 2) _tile_loadd(2, sums[1][0], 64);
      if constexpr (kTiles == 2 && kWeights == 2) _tile_loadd(3, sums[1][1], 64);
    }
    for (uint32_t i = 0; i < steps; ++i, values += PackedBlocks::kStep_bytes, weights += kStep_bytes) {
      const auto take_values = [&](uint32_t part) __attribute__((always_inline)) {
        _tile_loadd(4, values + part * 2 * kTile_bytes, 64);
        if constexpr (kTiles == 2) _tile_loadd(5, values + (part * 2 + 1) * kTile_bytes, 64);
      };
      const auto take_weights = [&](uint32_t part) __attribute__((always_inline)) {
        _tile_loadd(6, weights + part * 2 * kTile_bytes, 64);
        if constexpr (kWeights == 2) _tile_loadd(7, weights + (part * 2 + 1) * kTile_bytes, 64);
      };
      const auto multiply = []() __attribute__((always_inline)) {
        _tile_dpbf16ps(0, 4, 6);
        if constexpr (kWeights == 2) _tile_dpbf16ps(1, 4, 7);
        if constexpr (kTiles == 2) _tile_dpbf16ps(2, 5, 6);
        if constexpr (kTiles == 2 && kWeights == 2) _tile_dpbf16ps(3, 5, 7);
      };
      for (size_t line = 0; line < kAhead_bytes; line += 64) __builtin_prefetch(next + line, 0, 2);
      take_values(0);
      take_weights(0);
      multiply();
      if constexpr (kCut == 3) {
        take_weights(2);
        multiply();
      }
      if constexpr (kCut >= 2) {
        take_weights(1);
        multiply();
      }
      take_values(1);
      if constexpr (kCut >= 2) {
        multiply();
        take_weights(0);
      }
      multiply();
      take_values(2);
      multiply();
    }
    _tile_stored(0, sums[0][0], 64);
    if constexpr (kWeights == 2) _tile_stored(1, sums[0][1], 64);
    if constexpr (kTiles == 2) _tile_stored(2, sums[1][0], 64);
    if constexpr (kTiles == 2 && kWeights == 2) _tile_stored(3, sums[1][1], 64);
  }

  void add_sums(uint32_t first, uint32_t count) const {
    const Scratch& own = scratch();
    for (uint32_t i = 0; i < count; ++i) {
      float* const out = args_.out[first + i];
      for (uint32_t r = begin_; r < end_; r += kTileRows) {
        const uint32_t tile = (r - begin_) / kTileRows;
        const float* sum = own.sums[tile / 2][i / kTileRows][tile % 2] + i % kTileRows * kTileRows;
        if (end_ - r >= kTileRows) {
          V::store(out + r, V::add(V::load(out + r), V::load(sum)));
        } else {
          const int n = static_cast<int>(end_ - r);
          V::store_n(out + r, V::add(V::load_n(out + r, n), V::load(sum)), n);
        }
      }
    }
  }

  const MatmulArgs& args_;
  const uint32_t column_, columns_, begin_, end_;
};

}  // namespace hearth::cpu::amx
