// What the matmul kernels take, and the sizes that their host side must know too (see matmul.cuh).
#pragma once

#include <cstdint>

#ifndef __CUDACC__
#define HEARTH_BOTH constexpr
#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"
#else
#define HEARTH_BOTH __host__ __device__ constexpr
#endif

namespace hearth::cuda {

// One weight matrix; with experts: the matrices of all, one after the other.
struct MatmulPart {
  const uint8_t* weight;  // at a multiple of 16 bytes
  const uint8_t* end;     // behind the last weight: nothing is read from there on
  const float* bias;      // null: none
  float* out;
  uint32_t rows;        // of one expert's matrix
  uint32_t stride;      // floats between rows of out
  uint32_t add;         // out += instead of out =
  uint32_t first_tile;  // the parts' tiles of rows are numbered through
};

inline constexpr uint32_t kMaxParts = 4;

struct MatmulArgs {
  MatmulPart parts[kMaxParts];
  const uint8_t* in;        // rows of the operand
  const uint32_t* offsets;  // ExpertGroups; null: no experts
  const uint32_t* slots;
  uint32_t part_count, tiles;  // tiles of rows of all parts
  uint32_t count;              // rows of `in`, or slots
  uint32_t experts, slots_per_row;
  uint32_t by_slot;  // a block's y is not an expert but an entry of `slots`, the first of its expert or none
  uint32_t cols;
  uint32_t row_bytes;                              // of a weight matrix
  uint32_t in_row_bytes;                           // of an operand
  uint32_t numbers_at, scales_at, half_scales_at;  // where the parts of the form lie in an operand's row
  uint32_t splits;                                 // few: warps that share a tile
  uint32_t split_inverse;                          // few: split_inverse(splits)
  uint32_t block_tiles;                            // few: tiles that a block's warps share
  uint32_t round_chunks;                           // few: chunks per split between two additions
  uint32_t stages;                                 // many: chunks that are in shared memory at once
  uint32_t unused;
};

// A warp's number times this, less the last bits, is the number divided by `splits`: a division takes 20 instructions.
inline constexpr uint32_t kSplit_inverse_bits = 8;
HEARTH_BOTH uint32_t split_inverse(uint32_t splits) {
  return ((1u << kSplit_inverse_bits) + splits - 1) / splits;
}

// Columns that are summed up before their sum is added to the total.
inline constexpr uint32_t kInt8Chunk = 256, kHalfChunk = 64;
// Both are as many bytes of an operand's row.
inline constexpr uint32_t kChunkUnits = 16;  // of 16 bytes
inline constexpr uint32_t kTileRows = 16;    // rows of a matrix instruction
// Floats from one activation row to the next in a tile of partial sums: no two lanes meet in a bank.
inline constexpr uint32_t kPartialPitch = 20;
// many: rows per warp, activation rows per block.
inline constexpr uint32_t kManyRows = 32, kManyTokens = 64;

// What of a weight format decides how its chunks lie in shared memory.
struct ChunkFormat {
  uint32_t block_values, block_bytes;
  uint32_t scale_columns;    // columns that share a scale: 32 or 16
  uint32_t minimum, halves;  // 1: scales come with minima; plain halves without scales
};

HEARTH_BOTH uint32_t chunk_columns(const ChunkFormat& format) {
  return format.halves != 0 ? kHalfChunk : kInt8Chunk;
}

// Part of a weight matrix's row that is one chunk, in shared memory.
struct RawRow {
  uint32_t bytes;          // of a whole chunk
  uint32_t alignment;      // of the row's fields: 4, 2 or 1
  uint32_t slack;          // readable bytes wanted behind the last: words are cut from two aligned ones
  uint32_t skew;           // most bytes between a multiple of 16 and the first
  uint32_t units;          // of 16 bytes, at most
  uint32_t aligned_units;  // likewise where rows and chunks begin at multiples of 16
  uint32_t pitch;          // bytes between rows: lanes that read words of 8 adjacent rows meet in no bank
};

HEARTH_BOTH RawRow raw_row(const ChunkFormat& format) {
  RawRow row{};
  row.bytes = chunk_columns(format) / format.block_values * format.block_bytes;
  row.alignment = format.block_bytes % 4 == 0 ? 4 : format.block_bytes % 2 == 0 ? 2 : 1;
  row.slack = row.alignment < 4 ? 4 : 0;
  const uint32_t step = format.block_bytes % 16 == 0 ? 16 : format.block_bytes % 8 == 0 ? 8 : row.alignment;
  row.skew = 16 - step;
  row.units = (row.skew + row.bytes + row.slack + 15) / 16;
  // Halves are read in whole units then.
  row.aligned_units = (row.bytes + (format.halves != 0 ? 0 : row.slack) + 15) / 16;
  row.pitch = 16 * (format.halves != 0 ? (row.units + 3) / 8 * 8 + 4 : row.units | 1);
  return row;
}

// Whether minima belong to 16 columns, so that the sums of halves of blocks are needed.
HEARTH_BOTH bool has_half_minima(const ChunkFormat& format) {
  return format.minimum != 0 && format.scale_columns == 16;
}

// Bytes of a chunk of `tokens` activation rows in shared memory: numbers, scales (and sums), sums of halves.
HEARTH_BOTH uint32_t activation_bytes(const ChunkFormat& format, uint32_t tokens) {
  const uint32_t scales = format.halves != 0 ? 8 : has_half_minima(format) ? 64 + 32 : 64;
  return tokens * (kChunkUnits * 16 + scales);
}
// Scales and minima of a chunk of `rows` weight rows, unpacked.
HEARTH_BOTH uint32_t scale_bytes(const ChunkFormat& format, uint32_t rows) {
  return format.halves != 0 ? 0 : rows * (kInt8Chunk / format.scale_columns) * (format.minimum != 0 ? 8 : 4);
}
// 7.5 cannot copy to shared memory in the background: a second stage would be of no use.
HEARTH_BOTH uint32_t few_stages(uint32_t compute_capability) {
  return compute_capability >= 80 ? 2 : 1;
}
// Shared memory of a stage of one warp, and of the warp.
HEARTH_BOTH uint32_t few_stage_bytes(const ChunkFormat& format, uint32_t tokens) {
  return kTileRows * raw_row(format).pitch + activation_bytes(format, tokens);
}
HEARTH_BOTH uint32_t few_warp_bytes(const ChunkFormat& format, uint32_t tokens, uint32_t stages) {
  return stages * few_stage_bytes(format, tokens) + scale_bytes(format, kTileRows);
}
// Shared memory of a stage of a block of so many warps.
HEARTH_BOTH uint32_t many_stage_bytes(const ChunkFormat& format, uint32_t warps) {
  return warps * kManyRows * raw_row(format).pitch + activation_bytes(format, kManyTokens);
}

// What kernels are compiled for: at most so many warps in a block, with registers for so many blocks at once.
HEARTH_BOTH uint32_t few_block_warps(uint32_t tokens) {
  return tokens <= 8 ? 8 : 4;
}
HEARTH_BOTH uint32_t few_blocks(uint32_t tokens) {
  return tokens == 16 ? 3 : 2;
}
inline constexpr uint32_t kManyBlockWarps = 8;

// matmul_plain.cu: weights that are plain numbers. A warp multiplies kPlainRows weight rows by kPlainTokens
// activation rows or, if there are fewer, by one at a time.
inline constexpr uint32_t kPlainRows = 4, kPlainTokens = 8, kPlainWarps = 4;

}  // namespace hearth::cuda

#ifndef __CUDACC__
#pragma GCC diagnostic pop
#endif
#undef HEARTH_BOTH
