// How many processors there are for threads.
#pragma once

#include <optional>
#include <string>

namespace hearth {

// Processors that this process may use: affinity mask and processor_quota(), at least 1.
int usable_processors();

// As many processors as the tightest quota of the control groups (versions 1 and 2, this one and those above it) keeps
// busy, a part of one counted whole; nothing if there is no quota. `root` is where /proc and /sys are (tests).
std::optional<int> processor_quota(const std::string& root = "");

}  // namespace hearth
