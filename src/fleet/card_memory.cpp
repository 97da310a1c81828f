#include "fleet/card_memory.h"

#include <algorithm>

#include "base/text.h"
#include "driver/probe.h"
#include "placement/gpus.h"
#include "placement/rebalance.h"

namespace hearth::fleet {

std::vector<CardMemory> card_memory() {
  std::vector<CardMemory> cards;
  for (const driver::Gpu& gpu : driver::probe({.open_contexts = false}).gpus) {
    if (gpu.ordinal < 0 || !gpu.state.free_bytes) continue;
    CardMemory card{gpu.ordinal,
                    gpu.uuid,
                    fmt::format("GPU {} ({})", gpu.ordinal, gpu.name),
                    gpu.state.total_bytes.value_or(gpu.total_bytes),
                    *gpu.state.free_bytes,
                    {}};
    for (const driver::GpuProcess& process : gpu.state.processes)
      card.others += fmt::format("{}{} ({})", card.others.empty() ? "" : ", ",
                                 process.name.empty() ? fmt::format("process {}", process.pid) : process.name,
                                 process.bytes ? size_text(*process.bytes) : "memory unknown");
    cards.push_back(std::move(card));
  }
  return cards;
}

uint64_t free_bytes_of(int ordinal) {
  for (const CardMemory& card : card_memory())
    if (card.ordinal == ordinal) return card.free_bytes;
  return 0;
}

uint64_t room_for(int ordinal, uint64_t bytes) {
  for (const CardMemory& card : card_memory())
    if (card.ordinal == ordinal)
      return bytes + placement::reserve_on(card.total_bytes) +
             std::min(placement::RebalanceOptions().grow_margin_bytes, placement::grow_margin_on(card.total_bytes));
  return bytes;
}

}  // namespace hearth::fleet
