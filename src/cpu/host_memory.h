// What memory this process may still take.
#pragma once

#include <cstdint>

namespace hearth::cpu {

// MemAvailable, or what the cgroup's limit leaves if that is less.
uint64_t available_memory_bytes();

}  // namespace hearth::cpu
