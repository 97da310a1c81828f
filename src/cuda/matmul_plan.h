// How a matrix product is cut into blocks: pure functions of the format, the product's sizes and the GPU. What decides
// is how many warps run on a multiprocessor at once, since they hide each other's waiting; shared memory and registers
// limit it. Plans change no result.
//
// All estimated from the sizes that NVIDIA publishes; none of it has been measured yet (tools/gpu-check).
#pragma once

#include <cstdint>

#include "cuda/kernels/matmul_args.h"
#include "cuda/launch.h"
#include "quant/format.h"

namespace hearth::cuda {

// Activation rows that the kernels of matmul_few.cuh are made for.
inline constexpr uint32_t kFewTokens[] = {4, 8, 16, 32};
// Most activation rows that they multiply; more go to matmul_many.cuh.
inline constexpr uint32_t kMostFewRows = 64;

bool is_half(const quant::Format& format);  // F16 or BF16
ChunkFormat chunk_format(const quant::Format& format);

// Blocks of so many warps that a multiprocessor holds; `most_warps`: as registers allow.
uint32_t resident_blocks(const Chip& chip, uint32_t block_warps, uint32_t shared_bytes, uint32_t most_warps);

struct FewPlan {
  uint32_t warps = 0;         // of a block
  uint32_t splits = 0;        // of these, that share a tile of weight rows
  uint32_t tiles = 0;         // of a block
  uint32_t round_chunks = 0;  // per split, between two additions
  uint32_t shared_bytes = 0;  // of a block
};

// For a kernel of kFewTokens; `tiles`: of 16 weight rows, of all experts that are multiplied.
FewPlan plan_few(const ChunkFormat& format, uint32_t tokens, uint32_t cols, uint64_t tiles, const Chip& chip);

struct ManyPlan {
  uint32_t warps = 0, stages = 0, shared_bytes = 0;
};

ManyPlan plan_many(const ChunkFormat& format, const Chip& chip);

}  // namespace hearth::cuda
