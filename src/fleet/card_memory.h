// What the driver says about the memory of the cards of this machine, without opening any.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace hearth::fleet {

struct CardMemory {
  int ordinal = -1;      // CUDA's number in this process
  std::string id, name;  // as device::Facts has them
  uint64_t total_bytes = 0, free_bytes = 0;
  std::string others;  // "python (1.2 GiB), Xorg (300 MiB)": other processes; empty if none is known
};

// Of the cards that CUDA shows to this process and that NVML knows the memory of. May take as long as a driver that
// does not answer is waited for.
std::vector<CardMemory> card_memory();

// One of them; nothing if it is not there.
std::optional<CardMemory> card_memory(int ordinal);
// Its free bytes; 0 if that is not known.
uint64_t free_bytes_of(int ordinal);
std::string holders_of(int ordinal);  // CardMemory::others; empty if that is not known
// Of `cards` the one with most free of those that have so much in all; `ordinal`: only that one. Errors: kNoDevice
// where there are none, kUsage where none is so large.
Result<CardMemory> choose_card(std::span<const CardMemory> cards, uint64_t bytes, std::optional<int> ordinal);
// What must be free on it so that so many bytes of layers come there, with what is always left alone.
uint64_t room_for(int ordinal, uint64_t bytes);

}  // namespace hearth::fleet
