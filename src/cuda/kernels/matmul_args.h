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
  uint32_t round_chunks;                           // few: chunks per split between two additions
  uint32_t stages;                                 // many: chunks that are in shared memory at once
  uint32_t unused;
};

// Columns that are summed up before their sum is added to the total.
inline constexpr uint32_t kInt8Chunk = 256, kHalfChunk = 64;
// Both are as many bytes of an operand's row.
inline constexpr uint32_t kChunkUnits = 16;  // of 16 bytes
inline constexpr uint32_t kTileRows = 16;    // rows of a matrix instruction
// Floats from one activation row to the next in a tile of partial sums: no two lanes meet in a bank.
inline constexpr uint32_t kPartialPitch = 20;
// many: rows per warp, activation rows per block.
inline constexpr uint32_t kManyRows = 32, kManyTokens = 64;

// Part of a weight matrix's row that is one chunk, in shared memory.
struct RawRow {
  uint32_t bytes;      // of a whole chunk
  uint32_t alignment;  // of the row's fields: 4, 2 or 1
  uint32_t slack;      // readable bytes wanted behind the last: words are cut from two aligned ones
  uint32_t skew;       // most bytes between a multiple of 16 and the first
  uint32_t units;      // of 16 bytes, at most
  uint32_t pitch;      // bytes between rows: lanes that read words of 8 adjacent rows meet in no bank
};

HEARTH_BOTH RawRow raw_row(uint32_t block_values, uint32_t block_bytes, bool halves) {
  RawRow row{};
  row.bytes = (halves ? kHalfChunk : kInt8Chunk) / block_values * block_bytes;
  row.alignment = block_bytes % 4 == 0 ? 4 : block_bytes % 2 == 0 ? 2 : 1;
  row.slack = row.alignment < 4 ? 4 : 0;
  const uint32_t step = block_bytes % 16 == 0 ? 16 : block_bytes % 8 == 0 ? 8 : row.alignment;
  row.skew = 16 - step;
  row.units = (row.skew + row.bytes + row.slack + 15) / 16;
  row.pitch = 16 * (halves ? (row.units + 3) / 8 * 8 + 4 : row.units | 1);
  return row;
}

// Bytes of a chunk of `tokens` activation rows in shared memory: numbers, scales (and sums), sums of halves.
HEARTH_BOTH uint32_t activation_bytes(uint32_t tokens) {
  return tokens * (kChunkUnits * 16 + 64 + 32);
}
// Scales and minima of a chunk of `rows` weight rows, unpacked.
HEARTH_BOTH uint32_t scale_bytes(uint32_t rows, bool halves) {
  return halves ? 0 : rows * 16 * 8;
}
// 7.5 cannot copy to shared memory in the background: a second stage would be of no use.
HEARTH_BOTH uint32_t few_stages(uint32_t compute_capability) {
  return compute_capability >= 80 ? 2 : 1;
}

// matmul_plain.cu: weights that are plain numbers. A warp multiplies kPlainRows weight rows by kPlainTokens
// activation rows or, if there are fewer, by one at a time.
inline constexpr uint32_t kPlainRows = 4, kPlainTokens = 8, kPlainWarps = 4;

}  // namespace hearth::cuda

#ifndef __CUDACC__
#pragma GCC diagnostic pop
#endif
#undef HEARTH_BOTH
