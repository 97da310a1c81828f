// The control groups (cgroups, versions 1 and 2) that this process is in.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hearth {

struct ControlGroup {
  int version;         // 1 or 2
  std::string path;    // "/docker/…", or "/" for the mount point's own
  std::string folder;  // that holds its files, such as memory.max

  bool operator==(const ControlGroup&) const = default;
};

// Those that may limit `controller` ("cpu", "memory"): the process's own group of each version and all above it, up
// to the mount point. A container often sees its own group as the mount point, whatever the path says, so a folder
// may be absent. `root` is where /proc and /sys are (tests).
// https://docs.kernel.org/admin-guide/cgroup-v2.html, https://docs.kernel.org/admin-guide/cgroup-v1/cgroups.html
std::vector<ControlGroup> control_groups(std::string_view controller, const std::string& root = "");

}  // namespace hearth
