#include "cuda/matmul_plan.h"

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "base/checked.h"

namespace hearth::cuda {
namespace {

constexpr uint32_t kF16 = 1, kBF16 = 30;  // type numbers

// Partial sums in shared memory between two additions: as much as is free, up to this.
constexpr uint32_t kMostPartial_bytes = 16 << 10;

// Shared memory is given out in such pieces (256 on 7.5, 128 later).
constexpr uint32_t kShared_grain_bytes = 256;

// The sums of 16 weight rows and `tokens` activation rows.
uint32_t sums_bytes(uint32_t tokens) {
  return tokens * kPartialPitch * static_cast<uint32_t>(sizeof(float));
}
// Of the operand and of the result.
uint32_t row_numbers_bytes(uint32_t tokens) {
  return 2 * tokens * static_cast<uint32_t>(sizeof(uint32_t));
}

// The plan with blocks of `warps` warps and, in `busy`, how many warps then work on a multiprocessor; 0: it does not
// fit.
FewPlan plan_with(uint32_t warps, const ChunkFormat& format, uint32_t tokens, uint32_t cols, uint64_t tiles,
                  const Chip& chip, uint64_t& busy) {
  const uint32_t stages = few_stages(static_cast<uint32_t>(chip.compute_capability));
  const uint32_t fixed = warps * few_warp_bytes(format, tokens, stages) + row_numbers_bytes(tokens);
  // At least one chunk's sums for each warp, and totals for each tile, of which there may be as many.
  const uint32_t most_warps = few_block_warps(tokens) * few_blocks(tokens);
  const uint32_t blocks = resident_blocks(chip, warps, fixed + 2 * warps * sums_bytes(tokens), most_warps);
  FewPlan plan;
  busy = 0;
  if (blocks == 0) return plan;
  const uint32_t chunks = static_cast<uint32_t>(divide_up(cols, chunk_columns(format)));
  const uint64_t places = uint64_t{chip.multiprocessors} * blocks * warps;
  plan.warps = warps;
  plan.splits = static_cast<uint32_t>(std::clamp<uint64_t>(std::bit_ceil(divide_up(places, tiles)), 1, warps));
  plan.splits = std::min(plan.splits, chunks);
  plan.tiles = warps / plan.splits;
  busy = std::min(uint64_t{blocks} * warps, divide_up(tiles * plan.splits, chip.multiprocessors));

  const uint32_t share = chip.shared_bytes_per_multiprocessor / blocks - chip.reserved_shared_bytes;
  const uint32_t room = std::min(share / kShared_grain_bytes * kShared_grain_bytes, chip.shared_bytes_per_block);
  const uint32_t totals = plan.tiles * sums_bytes(tokens), chunk_bytes = plan.tiles * plan.splits * sums_bytes(tokens);
  const uint32_t fitting = std::min(room - fixed - totals, kMostPartial_bytes) / chunk_bytes;
  plan.round_chunks = std::clamp(fitting, 1u, static_cast<uint32_t>(divide_up(chunks, plan.splits)));
  plan.shared_bytes = fixed + totals + plan.round_chunks * chunk_bytes;
  return plan;
}

}  // namespace

bool is_half(const quant::Format& format) {
  return format.type == kF16 || format.type == kBF16;
}

ChunkFormat chunk_format(const quant::Format& format) {
  return {format.block_values, format.block_bytes, std::min(format.scale_values, 32u), format.minima ? 1u : 0u,
          is_half(format) ? 1u : 0u};
}

uint32_t resident_blocks(const Chip& chip, uint32_t block_warps, uint32_t shared_bytes, uint32_t most_warps) {
  if (shared_bytes > chip.shared_bytes_per_block) return 0;
  const uint64_t taken = round_up(shared_bytes, kShared_grain_bytes) + chip.reserved_shared_bytes;
  return static_cast<uint32_t>(
      std::min<uint64_t>(chip.shared_bytes_per_multiprocessor / taken, most_warps / block_warps));
}

FewPlan plan_few(const ChunkFormat& format, uint32_t tokens, uint32_t cols, uint64_t tiles, const Chip& chip) {
  FewPlan best;
  uint64_t most_busy = 0;
  for (uint32_t warps = few_block_warps(tokens); warps != 0; warps /= 2) {
    uint64_t busy = 0;
    const FewPlan plan = plan_with(warps, format, tokens, cols, tiles, chip, busy);
    if (busy > most_busy) best = plan, most_busy = busy;
  }
  CHECK(best.warps != 0 && best.shared_bytes <= chip.shared_bytes_per_block);
  return best;
}

// Two stages overlap copies with products within a block; with one, other warps must do so, hence their number counts
// first. Small blocks wait less for each other, large ones share the activations.
ManyPlan plan_many(const ChunkFormat& format, const Chip& chip) {
  constexpr struct { uint32_t warps, stages; } kWays[] = {{4, 2}, {4, 1}, {8, 1}, {6, 1}, {2, 2}, {2, 1}};
  ManyPlan best;
  uint32_t most = 0;
  for (const auto& [warps, stages] : kWays) {
    const uint32_t shared_bytes = stages * many_stage_bytes(format, warps) + warps * scale_bytes(format, kManyRows) +
                                  row_numbers_bytes(kManyTokens);
    const uint32_t resident = warps * resident_blocks(chip, warps, shared_bytes, kManyBlockWarps);
    if (resident > most) best = {warps, stages, shared_bytes}, most = resident;
  }
  CHECK(most != 0);
  return best;
}

}  // namespace hearth::cuda
