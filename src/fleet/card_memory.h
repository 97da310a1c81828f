// What the driver says about the memory of the cards of this machine, without opening any.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

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

// Of one of them; 0 if that is not known.
uint64_t free_bytes_of(int ordinal);
// What must be free on it so that so many bytes of layers come there, with what is always left alone.
uint64_t room_for(int ordinal, uint64_t bytes);

}  // namespace hearth::fleet
