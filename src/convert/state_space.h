// Mamba-2 layers (Dao and Gu 2024) in checkpoints of several families.
#pragma once

#include <string>

#include "convert/plan.h"

namespace hearth::convert {

struct StateSpace {
  uint32_t heads = 0, groups = 0, state = 0, head = 0, taps = 0;

  uint64_t inner() const { return uint64_t{heads} * head; }
  uint64_t channels() const { return inner() + 2 * uint64_t{groups} * state; }
};

// The keys ssm.* of the file.
void add_state_space_keys(const StateSpace& sizes, Plan& plan);
// `block`: "blk.0."; `source`: "backbone.layers.0.mixer.".
Status add_state_space(const StateSpace& sizes, uint64_t width, const std::string& block, const std::string& source,
                       Plan& plan);

}  // namespace hearth::convert
