// What the simulator tells its user: the seed, faults of kernels, leaks. On stderr, or in the file HEARTH_SIM_LOG.
#pragma once

#include <string>

namespace hearth::sim {

void say(const std::string& text);  // one line, without "hearth-sim: " and its end

}  // namespace hearth::sim
