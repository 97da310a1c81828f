// How much memory there is for a model.
#pragma once

#include <cstdint>
#include <string>

namespace hearth {

struct AvailableMemory {
  uint64_t bytes;
  std::string limited_by;       // "this machine" or "the control group /docker/…"
  uint64_t promised_bytes = 0;  // that are not among them, since this process will touch them (base/memory_ledger.h)
};
// "this machine has 3.0 GiB available", with what is promised.
std::string to_string(const AvailableMemory& memory);

// What this process may still take without swapping: the kernel's MemAvailable, or the room that is left in
// a control group (version 1 or 2, this one and those above it) if that is less. File pages that the kernel
// can drop count as available. `root` is where /proc and /sys are (tests). Unknown: UINT64_MAX bytes.
AvailableMemory available_memory(const std::string& root = "");

// Physical memory that this process holds now (its resident set).
uint64_t resident_bytes();

}  // namespace hearth
