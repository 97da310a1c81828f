// GPUs that people have or think of buying, to plan for: what their makers say of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>

namespace hearth::placement {

struct KnownGpu {
  const char* name;  // without "NVIDIA" and "GeForce"
  uint64_t memory_mib;
  uint32_t bandwidth_gb_per_s;
  int capability;  // compute capability: 89 is 8.9
};

// Of the memory, what the driver keeps for itself, and what a context with hearth's kernels takes: figures
// that are on the safe side, for machines on which nobody measured them.
inline constexpr uint64_t kDriverShare_percent = 3, kContext_bytes = uint64_t{450} << 20;
// What a plan leaves alone on every GPU: other programs grow, and displays need room.
inline constexpr uint64_t kReserve_bytes = uint64_t{192} << 20;
// Cards below 6 GiB have less to give: parts of their memory.
constexpr uint64_t reserve_on(uint64_t total_bytes) {
  return std::min(kReserve_bytes, total_bytes / 32);
}
constexpr uint64_t grow_margin_on(uint64_t total_bytes) {
  return total_bytes / 24;
}
// The oldest GPUs that hearth's kernels run on: Turing.
inline constexpr int kLeastCapability = 75;

std::span<const KnownGpu> known_gpus();
// By name, whatever the case, spaces, dashes and prefixes: "rtx4090", "RTX 4090", "NVIDIA GeForce RTX 4090".
// Null: unknown.
const KnownGpu* find_gpu(std::string_view name);

}  // namespace hearth::placement
