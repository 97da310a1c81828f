// HEARTH_SIM_COUNTS=FILE: how often each line of the kernels' PTX was executed, written when the process ends. A line
// is "KERNEL LINE COUNT", where a warp's instruction counts once however many lanes took part; LINE 0 counts launches.
#pragma once

#include <string>

#include "sim/exec/launch.h"

namespace hearth::sim::cuda {

bool counts_wanted();
void count_launch(const std::string& kernel, const exec::LaunchStats& stats);
void write_counts();

}  // namespace hearth::sim::cuda
