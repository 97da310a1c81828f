// What a model takes of memory.
#pragma once

#include <cstdint>

namespace hearth::models {

// In bytes, exact.
struct Memory {
  uint64_t weights = 0, cache = 0, workspace = 0;
  uint64_t total() const { return weights + cache + workspace; }
};

}  // namespace hearth::models
