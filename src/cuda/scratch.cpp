#include "cuda/scratch.h"

#include <algorithm>
#include <bit>

#include "base/checked.h"
#include "cuda/kernels/operand_args.h"
#include "cuda/kernels/splits.h"

namespace hearth::cuda {
namespace {

constexpr uint64_t kAlignment = 256;

}  // namespace

ExpertScratch::ExpertScratch(uint64_t rows, uint32_t experts, uint32_t used, uint32_t inner, uint32_t width,
                             uint64_t hidden_bytes) {
  uint64_t at = 0;
  const auto take = [&](uint64_t bytes) {
    const uint64_t from = at;
    at += round_up(bytes, kAlignment);
    return from;
  };
  const uint64_t slots_count = rows * used;
  logits = take(rows * experts * sizeof(float));
  expert = take(slots_count * sizeof(uint32_t));
  weight = take(slots_count * sizeof(float));
  offsets = take((experts + 1) * sizeof(uint32_t));
  slots = take(slots_count * sizeof(uint32_t));
  gate_up = take(slots_count * 2 * inner * sizeof(float));
  hidden = take(slots_count * hidden_bytes);
  down = take(slots_count * width * sizeof(float));
  end = at;
}

uint32_t ExpertScratch::rows_in(uint64_t bytes, uint32_t experts, uint32_t used, uint32_t inner, uint32_t width,
                                uint64_t hidden_bytes) {
  const uint64_t per_row =
      experts * sizeof(float) + used * (2 * inner * sizeof(float) + hidden_bytes + (width + 3) * sizeof(float));
  const uint64_t fixed = (experts + 1) * sizeof(uint32_t) + 9 * kAlignment;
  return bytes <= fixed ? 0 : static_cast<uint32_t>((bytes - fixed) / per_row);
}

HeadScratch::HeadScratch(uint64_t rows, uint32_t heads)
    : slots(round_up((heads + 1) * sizeof(uint32_t), kAlignment)), end(slots + rows * heads * sizeof(uint32_t)) {}

uint64_t scratch_need(const device::StepShape& most) {
  const uint64_t rows = std::max(most.rows, 1u), alone = std::min<uint64_t>(rows, std::max(most.sequences, 1u));
  const uint32_t pages = split_pages(most.cache.key_dim, most.cache.value_dim);
  const uint32_t splits = std::bit_ceil(page_range(std::max(most.context, 1u) - 1, 0, 0).splits(pages));
  const uint32_t heads = most.heads, value_dim = most.cache.value_dim;
  const uint64_t one = partial_bytes(heads, value_dim, splits);
  const uint64_t attention = std::max(rows * partial_bytes(heads, value_dim, 1), alone * one);
  const uint64_t hidden = operand_row_bytes(most.expert_feed_forward, kInt8Form | kHalfForm | kFloatForm);
  const auto experts = [&](uint64_t count) {
    return ExpertScratch(count, most.experts, most.experts_used, most.expert_feed_forward, most.width, hidden).end;
  };
  const uint64_t pieces = std::min(std::max(attention, experts(rows)), kMostScratch_bytes);
  const uint64_t by_head = most.head_projections != 0 ? HeadScratch(rows, most.head_projections).end : 0;
  return std::max({kLeastScratch_bytes, pieces, one, by_head, experts(1) + 16 * kAlignment});
}

}  // namespace hearth::cuda
