// One column of a row of logits. A header of its own, since kernels include it too.
#pragma once

#include <cstdint>

namespace hearth::device {

struct Candidate {
  uint32_t column;
  float value;
};

// The most that Device::candidates() finds of one row.
inline constexpr uint32_t kMost_candidates = 1024;

}  // namespace hearth::device
