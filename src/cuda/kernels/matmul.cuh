// The matmul kernels. One way of multiplying for all weight formats and numbers of activation rows:
//
// Columns come in chunks (256 of 8-bit weights, 64 of halves). Within a chunk 32 columns at a time (16, if the
// format has scales for 16) are multiplied by tensor cores - exactly, as integers; halves in float32 - and then
//   sum = fma(product, weight scale * activation scale, sum);  sum = fma(-minimum, sum of activations, sum)
// in order of the columns, from 0. The sums of the chunks are added up in their order. Nothing else decides a
// result: not the kernel, not the tile, not what else is multiplied. Two kernels differ in who does what:
//
// matmul_few.cuh   up to 32 activation rows at a time: warps share a tile of 16 weight rows, each taking every
//                  n-th chunk. Limit: bytes of weights / memory bandwidth.
// matmul_many.cuh  64 activation rows at a time: a warp has 32 weight rows and all columns.
//                  Limit: per multiplication of 16 x 8 x 32 numbers 12 (with minima 16) instructions of a warp on
//                  float32 beside the tensor cores' work.
//
// Weights are copied to shared memory as they lie in the file, 16 bytes at a time whatever the format's
// alignment, and unpacked from there straight into matrix fragments: a format only says how (formats/*.cuh).
//
// A format has:
//   kBlockValues, kBlockBytes
//   kHalves       true: numbers() gives 8 columns of a block of 32 as halves. Otherwise:
//   kScaleColumns 32 or 16: columns that share a scale; kMinimum: whether scales come with minima
//   words()       codes of 64 columns as bytes (int8), in the distribution of matmul_mma.cuh
//   scales()      scales and minima of 128 columns: weight = scale * code - minimum
#pragma once

#include "cuda/kernels/matmul_args.h"
#include "cuda/kernels/matmul_copy.cuh"
#include "cuda/kernels/matmul_mma.cuh"
#include "cuda/kernels/matmul_row.cuh"
#include "cuda/kernels/warp.cuh"

namespace hearth::cuda {

template <class Format>
__device__ constexpr ChunkFormat chunk_format() {
  if constexpr (Format::kHalves)
    return {Format::kBlockValues, Format::kBlockBytes, 32, 0, 1};
  else
    return {Format::kBlockValues, Format::kBlockBytes, Format::kScaleColumns, Format::kMinimum, 0};
}

template <class Format>
struct Shape {
  static constexpr ChunkFormat kFormat = chunk_format<Format>();
  static constexpr RawRow kRaw = raw_row(kFormat);
  static constexpr uint32_t kChunk = chunk_columns(kFormat);
  static constexpr uint32_t kChunkGroups = kChunk / 64;
  static constexpr bool kHalfMinima = has_half_minima(kFormat);
  using Row = RawBytes<kRaw.alignment>;
};

// Who a lane is in a matrix instruction.
__device__ inline uint32_t lane_g() {
  return lane_of_warp() / 4;
}
__device__ inline uint32_t lane_q() {
  return lane_of_warp() % 4;
}

// 16 or 32 adjacent rows of one weight matrix, and where their results go.
struct RowTile {
  const uint8_t* weight;  // of the first row
  const uint8_t* end;
  const float* bias;  // of the first row, or null
  float* out;         // of the first row
  uint32_t rows;      // that exist
  uint32_t stride, add;
};

// Kernel parameters cannot be indexed by a variable without a copy in local memory: hence the selection.
__device__ inline MatmulPart part_of(const MatmulArgs& args, uint32_t tile) {
  MatmulPart part = args.parts[0];
#pragma unroll
  for (uint32_t i = 1; i < kMaxParts; ++i)
    if (i < args.part_count && tile >= args.parts[i].first_tile) part = args.parts[i];
  return part;
}

__device__ inline RowTile row_tile(const MatmulArgs& args, uint32_t tile, uint32_t tile_rows, uint32_t expert) {
  const MatmulPart part = part_of(args, tile);
  const uint32_t first = (tile - part.first_tile) * tile_rows;
  return {part.weight + (static_cast<uint64_t>(expert) * part.rows + first) * args.row_bytes,
          part.end,
          part.bias != nullptr ? part.bias + first : nullptr,
          part.out + first,
          min(tile_rows, part.rows - first),
          part.stride,
          part.add};
}

// The activation rows of a block: all, or those of one expert.
struct Group {
  uint32_t expert, begin, count;
};

__device__ inline Group find_group(const MatmulArgs& args, uint32_t y) {
  if (args.offsets == nullptr) return {0, 0, args.count};
  uint32_t expert = y;
  if (args.by_slot != 0) {
    // The last expert that begins at entry y or before it is the one that y belongs to.
    uint32_t low = 0, high = args.experts;
    while (high - low > 1) {
      const uint32_t middle = (low + high) / 2;
      if (args.offsets[middle] <= y)
        low = middle;
      else
        high = middle;
    }
    if (args.offsets[low] != y) return {low, y, 0};
    expert = low;
  }
  const uint32_t begin = args.offsets[expert];
  return {expert, begin, args.offsets[expert + 1] - begin};
}

// Row of the result, and of the operand, for activation row i of the group.
__device__ inline uint32_t result_row(const MatmulArgs& args, const Group& group, uint32_t i) {
  return args.offsets == nullptr ? i : args.slots[group.begin + i];
}
__device__ inline uint32_t operand_row(const MatmulArgs& args, uint32_t result_row) {
  return result_row / args.slots_per_row;
}

// `to`: row of the result.
__device__ inline void store_result(const RowTile& tile, uint32_t row, uint32_t to, float value) {
  if (tile.bias != nullptr) value += tile.bias[row];
  float* out = tile.out + static_cast<size_t>(to) * tile.stride + row;
  *out = tile.add != 0 ? *out + value : value;
}

// Where a row's chunk lies behind the multiple of 16 before it.
template <class Format>
__device__ uint32_t skew_of(const RowTile& tile, uint32_t row_bytes, uint32_t row, uint32_t chunk) {
  if (Shape<Format>::kRaw.skew == 0) return 0;
  return (static_cast<uint32_t>(reinterpret_cast<uintptr_t>(tile.weight)) + min(row, tile.rows - 1) * row_bytes +
          chunk * Shape<Format>::kRaw.bytes) &
         15;
}

// How many chunks of a tile can be copied in whole units of 16 bytes: all rows exist, and nothing behind `end` is read.
template <class Format, uint32_t kRows>
__device__ uint32_t plain_chunks(const RowTile& tile, uint32_t row_bytes) {
  constexpr RawRow kRaw = Shape<Format>::kRaw;
  const int64_t room = tile.end - (tile.weight + (kRows - 1) * row_bytes) - int64_t{16} * kRaw.units;
  if (tile.rows < kRows || room < 0) return 0;
  return static_cast<uint32_t>(min(room, int64_t{row_bytes})) / kRaw.bytes + 1;
}

// Units of the rows of a tile are numbered through: row i / kUnits, unit i % kUnits. A lane's are 32 apart, so that its
// addresses are a product with the row and a constant.
template <class Format, uint32_t kRows, uint32_t kUnits, bool kSkewed>
__device__ void copy_whole_units(uint8_t* to, const uint8_t* from, uint32_t row_bytes) {
  constexpr RawRow kRaw = Shape<Format>::kRaw;
  const uint32_t low = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(from)) & 15;
  const uint8_t* base = from - (kSkewed ? low : 0) + 16 * lane_of_warp();
#pragma unroll(kRows == kTileRows ? 4 : 1)
  for (uint32_t first = 0; first < kRows * kUnits; first += 32) {
    const uint32_t i = first + lane_of_warp(), row = i / kUnits;
    if (kRows * kUnits % 32 != 0 && i >= kRows * kUnits) break;
    const int32_t row_at = static_cast<int32_t>(row) * static_cast<int32_t>(row_bytes - 16 * kUnits);
    const int32_t at = kSkewed ? (row_at + static_cast<int32_t>(low)) & ~15 : row_at;
    copy_unit(to + row * (kRaw.pitch - 16 * kUnits) + 16 * i, base + at + 16 * first);
  }
}

// Which units of a chunk a lane copies, from the chunk's first unit on, if rows begin at multiples of 16: found once
// for a tile, so that copying takes an addition for each.
template <class Format, uint32_t kRows>
class LaneUnits {
 public:
  __device__ void find(uint32_t row_bytes) {
#pragma unroll
    for (uint32_t n = 0; n < kCount; ++n) at_[n] = unit(n) / kUnits * (row_bytes - 16 * kUnits) + 16 * unit(n);
  }
  // `chunk`: of the first row.
  __device__ void copy(uint8_t* to, const uint8_t* chunk) const {
    const uint8_t* base = chunk - (reinterpret_cast<uintptr_t>(chunk) & 15);
#pragma unroll
    for (uint32_t n = 0; n < kCount; ++n) {
      if (kAll % 32 != 0 && n == kCount - 1 && unit(n) >= kAll) break;
      copy_unit(to + unit(n) / kUnits * (kRaw.pitch - 16 * kUnits) + 16 * unit(n), base + at_[n]);
    }
  }

 private:
  static constexpr RawRow kRaw = Shape<Format>::kRaw;
  static constexpr uint32_t kUnits = kRaw.bytes % 16 == 0 ? kRaw.aligned_units : kRaw.units;
  static constexpr uint32_t kAll = kRows * kUnits, kCount = (kAll + 31) / 32;

  __device__ static uint32_t unit(uint32_t n) {
    return 32 * n + lane_of_warp();
  }

  uint32_t at_[kCount];
};

// Starts copying one chunk of a tile of kRows weight rows; the warp does it together. Rows that do not exist are
// the last one again: their results are not stored. `plain`: plain_chunks() of the tile.
template <class Format, uint32_t kRows>
__device__ void copy_weights(uint8_t* to, const RowTile& tile, uint32_t row_bytes, uint32_t chunk, uint32_t plain) {
  constexpr RawRow kRaw = Shape<Format>::kRaw;
  const uint8_t* from = tile.weight + static_cast<uint64_t>(chunk) * kRaw.bytes;
  if (chunk < plain) {
    if (kRaw.bytes % 16 == 0 && (kRaw.skew == 0 || row_bytes % 16 == 0))
      copy_whole_units<Format, kRows, kRaw.aligned_units, false>(to, from, row_bytes);
    else if (kRaw.skew != 0)
      copy_whole_units<Format, kRows, kRaw.units, true>(to, from, row_bytes);
    return;
  }
  constexpr uint32_t kBytes = kRaw.bytes + kRaw.slack;  // behind the row's end: the next row, or zeros
#pragma unroll 1
  for (uint32_t i = lane_of_warp(); i < kRows * kRaw.units; i += 32) {
    const uint32_t row = i / kRaw.units, unit = i % kRaw.units;
    const uint32_t skew = skew_of<Format>(tile, row_bytes, row, chunk);
    if (16 * unit >= skew + kBytes) continue;
    const uint8_t* unit_at = from + static_cast<uint64_t>(min(row, tile.rows - 1)) * row_bytes - skew + 16 * unit;
    copy_unit(to + row * kRaw.pitch + 16 * unit, unit_at, tile.end);
  }
}

// A chunk of kTokens activation rows in shared memory. Units of 16 bytes of odd rows are swapped in groups of four,
// so that two rows read together meet in no bank.
template <uint32_t kTokens>
struct Activations {
  uint8_t* at;

  __device__ uint8_t* unit(uint32_t token, uint32_t u) const {
    return at + (token * kChunkUnits + (u ^ token % 2 * 4)) * 16;
  }
  // int8: {scale, sum} of the two blocks of a group. Halves: the scales of the two blocks, 8 bytes per row.
  __device__ uint8_t* scales(uint32_t token, uint32_t group) const {
    return at + kTokens * kChunkUnits * 16 + (group * kTokens + token) * 16;
  }
  __device__ uint8_t* half_scales(uint32_t token) const { return at + kTokens * kChunkUnits * 16 + token * 8; }
  // Sums of the first halves of four blocks.
  __device__ uint8_t* first_sums(uint32_t token, uint32_t half) const {
    return at + kTokens * (kChunkUnits * 16 + 64) + (half * kTokens + token) * 16;
  }
};

// Starts copying chunk `chunk` of the activation rows [0, count); `threads` threads do it together. rows[i]: row
// of the operand.
template <class Format, uint32_t kTokens>
__device__ void copy_activations(const Activations<kTokens>& to, const MatmulArgs& args, const uint32_t* rows,
                                 uint32_t count, uint32_t chunk, uint32_t groups, uint32_t thread, uint32_t threads) {
  const auto row_at = [&](uint32_t token) { return args.in + static_cast<uint64_t>(rows[token]) * args.in_row_bytes; };
  const uint32_t units = kChunkUnits / Shape<Format>::kChunkGroups;  // of a group
  for (uint32_t i = thread; i < count * kChunkUnits; i += threads) {
    const uint32_t token = i / kChunkUnits, unit = i % kChunkUnits;
    if (unit < groups * units)
      copy_unit(to.unit(token, unit), row_at(token) + args.numbers_at + chunk * (kChunkUnits * 16) + unit * 16);
  }
  if constexpr (Format::kHalves) {
    for (uint32_t token = thread; token < count; token += threads)
      copy_half_unit(to.half_scales(token), row_at(token) + args.scales_at + chunk * 8);
  } else {
    for (uint32_t i = thread; i < count * 4; i += threads)
      if (i % 4 < groups) copy_unit(to.scales(i / 4, i % 4), row_at(i / 4) + args.scales_at + chunk * 64 + i % 4 * 16);
    if constexpr (Shape<Format>::kHalfMinima)
      for (uint32_t i = thread; i < count * 2; i += threads)
        copy_unit(to.first_sums(i / 2, i % 2), row_at(i / 2) + args.half_scales_at + chunk * 32 + i % 2 * 16);
  }
}

// Unpacked scales of a chunk: [scale in the chunk][row], so that lanes read neighbours.
template <class Format, uint32_t kRows>
struct RowScales {
  static constexpr uint32_t kCount = kInt8Chunk / Format::kScaleColumns;
  uint8_t* at;

  __device__ float& scale(uint32_t s, uint32_t row) const {
    return reinterpret_cast<float*>(at)[(s * kRows + row) * (Format::kMinimum ? 2 : 1)];
  }
  __device__ float2& both(uint32_t s, uint32_t row) const { return reinterpret_cast<float2*>(at)[s * kRows + row]; }
};

// Unpacks the scales of `blocks` blocks of 32 columns; the others become 0. The warp does it together.
template <class Format, uint32_t kRows>
__device__ void unpack_scales(const RowScales<Format, kRows>& to, const uint8_t* raw, const RowTile& tile,
                              uint32_t row_bytes, uint32_t chunk, uint32_t blocks) {
  constexpr uint32_t kHalf = RowScales<Format, kRows>::kCount / 2;  // scales of 128 columns
  const uint32_t row = lane_of_warp() % kRows;
  const typename Shape<Format>::Row bytes(raw + row * Shape<Format>::kRaw.pitch +
                                          skew_of<Format>(tile, row_bytes, row, chunk));
#pragma unroll
  for (uint32_t turn = 0; turn < kRows / 16; ++turn) {
    const uint32_t half = kRows == 16 ? lane_of_warp() / 16 : turn;
    float scale[kHalf] = {}, minimum[kHalf] = {};
    if (half * 4 < blocks) Format::scales(bytes, half, scale, minimum);
#pragma unroll
    for (uint32_t i = 0; i < kHalf; ++i) {
      const bool exists = half * 4 + i * 4 / kHalf < blocks;
      const uint32_t s = half * kHalf + i;
      if constexpr (Format::kMinimum)
        to.both(s, row) = exists ? float2{scale[i], minimum[i]} : float2{0, 0};
      else
        to.scale(s, row) = exists ? scale[i] : 0;
    }
  }
}

// The sums of a warp: kTiles tiles of 16 weight rows times kTokens activation rows. Of four activation rows a
// lane's second column is a repetition of its first and left out.
template <uint32_t kTiles, uint32_t kTokens>
struct Sums {
  static constexpr uint32_t kColumns = kTokens < 8 ? 1 : kTokens / 8;
  float of[kTiles][kColumns][4];

  __device__ void clear() {
#pragma unroll
    for (uint32_t m = 0; m < kTiles; ++m)
#pragma unroll
      for (uint32_t j = 0; j < kColumns; ++j)
#pragma unroll
        for (uint32_t i = 0; i < 4; ++i) of[m][j][i] = 0;
  }
};
// Activation row of a lane's operand column, and of result i (0, 1; + 2: the same) of its results.
template <uint32_t kTokens>
__device__ uint32_t operand_token(uint32_t j) {
  return kTokens < 8 ? lane_g() / 2 : 8 * j + lane_g();
}
template <uint32_t kTokens>
__device__ uint32_t result_token(uint32_t j, uint32_t i) {
  return kTokens < 8 ? lane_q() : 8 * j + 2 * lane_q() + i % 2;
}
// Of few activation rows only those that exist are in shared memory, in place of the others the last one is
// multiplied. Many rows are all there: no need to compute addresses.
template <uint32_t kTokens>
__device__ uint32_t present(uint32_t token, uint32_t last) {
  return kTokens < kManyTokens ? min(token, last) : token;
}

template <class Format, uint32_t kTiles, uint32_t kTokens>
class WarpProduct {
 public:
  static constexpr RawRow kRaw = Shape<Format>::kRaw;
  static constexpr uint32_t kRows = 16 * kTiles, kColumns = Sums<kTiles, kTokens>::kColumns;
  static constexpr uint32_t kResultStep = kTokens < 8 ? 2 : 1;
  using Row = typename Shape<Format>::Row;

  // sums += the chunk's weights times activations. `last`: highest activation row that exists.
  __device__ static void add_chunk(const uint8_t* raw, const RowTile& tile, const MatmulArgs& args, uint32_t chunk,
                                   uint32_t groups, const RowScales<Format, kRows>& scales,
                                   const Activations<kTokens>& in, uint32_t last, Sums<kTiles, kTokens>& sums) {
    const uint8_t* rows[kTiles][2];
#pragma unroll
    for (uint32_t m = 0; m < kTiles; ++m)
#pragma unroll
      for (uint32_t i = 0; i < 2; ++i) {
        const uint32_t row = 16 * m + 8 * i + lane_g();
        rows[m][i] = raw + row * kRaw.pitch + skew_of<Format>(tile, args.row_bytes, row, chunk);
      }
    if constexpr (Format::kHalves) {
      add_halves(rows, args.cols - chunk * kHalfChunk, in, last, sums);
    } else {
      // Unrolled, groups share loads; where the sums fill the registers, there is no room for that.
#pragma unroll(kTiles == 1 ? 4 : 1)
      for (uint32_t p = 0; p < 4; ++p) {
        if (p >= groups) break;
        add_group(rows, p, scales, in, last, sums);
      }
    }
  }

 private:
  using Rows = const uint8_t* [kTiles][2];
  static constexpr bool kHalfMinima = Shape<Format>::kHalfMinima;

  // 64 columns of int8.
  __device__ static void add_group(const Rows& rows, uint32_t p, const RowScales<Format, kRows>& scales,
                                   const Activations<kTokens>& in, uint32_t last, Sums<kTiles, kTokens>& sums) {
    if (kTiles == 2) __syncwarp();  // registers do not hold what groups share: it shall be loaded for each
    uint32_t a[kTiles][2][4];       // [tile][block][register of the matrix instruction]
#pragma unroll
    for (uint32_t m = 0; m < kTiles; ++m)
#pragma unroll
      for (uint32_t i = 0; i < 2; ++i) {
        uint32_t words[2][2];
        Format::words(Row(rows[m][i]), p, lane_q(), words);
#pragma unroll
        for (uint32_t b = 0; b < 2; ++b) a[m][b][i] = words[b][0], a[m][b][2 + i] = words[b][1];
      }
    if constexpr (kTiles == 2 && kHalfMinima) {
      // Registers do not hold the scales and minima of both tiles.
      add_blocks<0, 1>(a, p, scales, in, last, sums);
      __syncwarp();  // what both need shall be loaded twice
      add_blocks<1, 2>(a, p, scales, in, last, sums);
    } else {
      add_blocks<0, kTiles>(a, p, scales, in, last, sums);
    }
  }

  // Tiles kBegin .. kEnd - 1.
  template <uint32_t kBegin, uint32_t kEnd>
  __device__ static void add_blocks(const uint32_t (&a)[kTiles][2][4], uint32_t p,
                                    const RowScales<Format, kRows>& scales, const Activations<kTokens>& in,
                                    uint32_t last, Sums<kTiles, kTokens>& sums) {
#pragma unroll
    for (uint32_t j = 0; j < kColumns; ++j) {
      const uint32_t token = present<kTokens>(operand_token<kTokens>(j), last);
      const uint4 codes = *reinterpret_cast<const uint4*>(in.unit(token, 4 * p + lane_q()));
      float4 scale_sums[2] = {};
      float2 first_sums[2] = {};
#pragma unroll
      for (uint32_t i = 0; i < 2; i += kResultStep) {
        const uint32_t t = present<kTokens>(result_token<kTokens>(j, i), last);
        scale_sums[i] = *reinterpret_cast<const float4*>(in.scales(t, p));
        if (kHalfMinima) first_sums[i] = *reinterpret_cast<const float2*>(in.first_sums(t, p / 2) + p % 2 * 8);
      }
#pragma unroll
      for (uint32_t m = kBegin; m < kEnd; ++m) {
        add_block(a[m][0], codes.x, codes.y, scales, 2 * p, m, {scale_sums[0].x, scale_sums[1].x},
                  {scale_sums[0].y, scale_sums[1].y}, {first_sums[0].x, first_sums[1].x}, sums.of[m][j]);
        add_block(a[m][1], codes.z, codes.w, scales, 2 * p + 1, m, {scale_sums[0].z, scale_sums[1].z},
                  {scale_sums[0].w, scale_sums[1].w}, {first_sums[0].y, first_sums[1].y}, sums.of[m][j]);
      }
    }
  }

  // One matrix instruction and what follows it. scale, total, first: of the two activation rows; first: sum of
  // the first 16 columns.
  __device__ static void add_block(const uint32_t (&a)[4], uint32_t b0, uint32_t b1,
                                   const RowScales<Format, kRows>& scales, uint32_t block, uint32_t m, float2 scale,
                                   float2 total, float2 first, float (&sums)[4]) {
    if constexpr (Format::kScaleColumns == 32) {
      int d[4] = {kIntegerStart, kIntegerStart, kIntegerStart, kIntegerStart};
      mma_int8(d, a, b0, b1);
      add_scaled(d, scales, block, m, scale, total, sums);
    } else {
      int d[4] = {kIntegerStart, kIntegerStart, kIntegerStart, kIntegerStart};
      int e[4] = {kIntegerStart, kIntegerStart, kIntegerStart, kIntegerStart};
      mma_int8(d, a[0], a[1], b0);
      mma_int8(e, a[2], a[3], b1);
      add_scaled(d, scales, 2 * block, m, scale, first, sums);
      add_scaled(e, scales, 2 * block + 1, m, scale, {__fsub_rn(total.x, first.x), __fsub_rn(total.y, first.y)}, sums);
    }
  }

  __device__ static void add_scaled(const int (&d)[4], const RowScales<Format, kRows>& scales, uint32_t s, uint32_t m,
                                    float2 scale, float2 total, float (&sums)[4]) {
#pragma unroll
    for (uint32_t i = 0; i < 2; ++i) {
      const uint32_t row = 16 * m + 8 * i + lane_g();
      float2 of_row{0, 0};
      if constexpr (Format::kMinimum)
        of_row = scales.both(s, row);
      else
        of_row.x = scales.scale(s, row);
#pragma unroll
      for (uint32_t k = 0; k < 2; k += kResultStep) {
        float& sum = sums[2 * i + k];
        sum = __fmaf_rn(integer_sum(d[2 * i + k]), __fmul_rn(of_row.x, k == 0 ? scale.x : scale.y), sum);
        if (Format::kMinimum) sum = __fmaf_rn(-of_row.y, k == 0 ? total.x : total.y, sum);
      }
    }
  }

  // 64 columns of halves; `left`: columns from the chunk's first on that exist.
  __device__ static void add_halves(const Rows& rows, uint32_t left, const Activations<kTokens>& in, uint32_t last,
                                    Sums<kTiles, kTokens>& sums) {
#pragma unroll
    for (uint32_t block = 0; block < 2; ++block) {
      if (kTiles == 2) __syncwarp();  // as in add_group()
      uint32_t a[kTiles][2][4];       // [tile][row g or g + 8][columns 8 q .. 8 q + 7]
#pragma unroll
      for (uint32_t m = 0; m < kTiles; ++m)
#pragma unroll
        for (uint32_t i = 0; i < 2; ++i) {
          Format::numbers(Row(rows[m][i]), block, lane_q(), a[m][i]);
          if (left < kHalfChunk) clear_beyond(left, 32 * block + 8 * lane_q(), a[m][i]);
        }
#pragma unroll
      for (uint32_t j = 0; j < kColumns; ++j) {
        const uint32_t token = present<kTokens>(operand_token<kTokens>(j), last);
        const uint4 high = *reinterpret_cast<const uint4*>(in.unit(token, 8 * block + lane_q()));
        const uint4 low = *reinterpret_cast<const uint4*>(in.unit(token, 8 * block + 4 + lane_q()));
        float scale[2];
#pragma unroll
        for (uint32_t k = 0; k < 2; k += kResultStep)
          scale[k] = reinterpret_cast<const float*>(
              in.half_scales(present<kTokens>(result_token<kTokens>(j, k), last)))[block];
#pragma unroll
        for (uint32_t m = 0; m < kTiles; ++m) {
          float d[4] = {0, 0, 0, 0};
          mma_half(d, a[m][0][0], a[m][1][0], a[m][0][1], a[m][1][1], low.x, low.y);
          mma_half(d, a[m][0][2], a[m][1][2], a[m][0][3], a[m][1][3], low.z, low.w);
          mma_half(d, a[m][0][0], a[m][1][0], a[m][0][1], a[m][1][1], high.x, high.y);
          mma_half(d, a[m][0][2], a[m][1][2], a[m][0][3], a[m][1][3], high.z, high.w);
#pragma unroll
          for (uint32_t i = 0; i < 4; i += kResultStep)
            sums.of[m][j][i] = __fmaf_rn(d[i], scale[i % 2], sums.of[m][j][i]);
        }
      }
    }
  }

  // Halves of columns that do not exist belong to the next row: zero.
  __device__ static void clear_beyond(uint32_t left, uint32_t column, uint32_t (&halves)[4]) {
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i) {
      const uint32_t first = column + 2 * i;
      halves[i] &= first + 1 < left ? 0xffffffff : first < left ? 0xffff : 0;
    }
  }
};

}  // namespace hearth::cuda
