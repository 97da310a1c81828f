#include "fleet/card_memory.h"

#include <algorithm>

#include "base/error.h"
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

std::optional<CardMemory> card_memory(int ordinal) {
  const std::vector<CardMemory> cards = card_memory();
  const auto found = std::ranges::find(cards, ordinal, &CardMemory::ordinal);
  return found == cards.end() ? std::nullopt : std::optional(*found);
}

uint64_t free_bytes_of(int ordinal) {
  const auto card = card_memory(ordinal);
  return card ? card->free_bytes : 0;
}

std::string holders_of(int ordinal) {
  const auto card = card_memory(ordinal);
  return card ? card->others : "";
}

Result<CardMemory> choose_card(std::span<const CardMemory> cards, uint64_t bytes, std::optional<int> ordinal) {
  if (cards.empty()) return error(ErrorKind::kNoDevice, "the driver tells of no GPU and its memory; see hearth doctor");
  const CardMemory* best = nullptr;
  std::string names;
  for (const CardMemory& card : cards) {
    names += fmt::format("{}{} has {}", names.empty() ? "" : ", ", card.name, size_text(card.total_bytes));
    if ((ordinal && card.ordinal != *ordinal) || card.total_bytes < bytes) continue;
    if (best == nullptr || card.free_bytes > best->free_bytes) best = &card;
  }
  if (best != nullptr) return *best;
  return error(ErrorKind::kUsage, "no GPU asked for has {} in all: {}", size_text(bytes), names);
}

uint64_t room_for(int ordinal, uint64_t bytes) {
  const auto card = card_memory(ordinal);
  if (!card) return bytes;
  return bytes + placement::reserve_on(card->total_bytes) +
         std::min(placement::RebalanceOptions().grow_margin_bytes, placement::grow_margin_on(card->total_bytes));
}

}  // namespace hearth::fleet
