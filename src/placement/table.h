// A plan as text that people read.
#pragma once

#include <string>

#include "placement/plan.h"

namespace hearth::placement {

// One line per device that holds something, GPUs first, without newlines:
// "33/33 layers on GPU 0 (NVIDIA ...), 4.4 GiB weights, 0.5 GiB cache".
std::vector<std::string> summary(const Plan& plan, std::span<const DeviceState> devices);

// Bytes by device and part, against what is free; lines end with a newline.
std::string table(const Plan& plan, std::span<const DeviceState> devices);

}  // namespace hearth::placement
