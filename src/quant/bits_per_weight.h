// How tightly weights are packed.
#pragma once

#include <cstdint>

namespace hearth::quant {

constexpr double bits_per_weight(uint64_t bytes, uint64_t weights) {
  return 8.0 * static_cast<double>(bytes) / static_cast<double>(weights);
}

}  // namespace hearth::quant
