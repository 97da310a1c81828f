#pragma once

namespace hearth {

// Processors that this process may use: affinity mask and cgroup quota (v1 and v2), at least 1.
int usable_processors();

}  // namespace hearth
