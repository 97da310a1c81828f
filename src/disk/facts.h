// What is known of the file system that a path lies on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace hearth::disk {

struct Facts {
  std::string folder = {};       // the nearest folder of the path that exists
  std::string type = {};         // "ext4"; empty if the system does not tell
  std::string mount_point = {};  // "/var"
  uint64_t device = 0;           // st_dev: equal where rename() works between two paths
  uint64_t total_bytes = 0;
  uint64_t free_bytes = 0;             // that this user can have; never more than the file system has for anybody
  uint64_t files = 0, files_free = 0;  // both 0 where the file system has no fixed number
  bool read_only = false;

  bool in_memory() const { return type == "tmpfs" || type == "ramfs"; }
  bool over_network() const;
  // Writes to what lies in a lower layer copy the whole file up, and all of it goes with the container.
  bool is_overlay() const { return type == "overlay" || type == "aufs"; }
};

struct Mount {
  std::string point, type;
};
// Those that this process sees, as the system lists them: of several at one place the last counts.
std::vector<Mount> mounts();

// Of the nearest folder above that exists, if `path` does not. Errors: kIo, kNotFound.
Result<Facts> facts_of(const std::string& path);

}  // namespace hearth::disk
