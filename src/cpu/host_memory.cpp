#include "cpu/host_memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

namespace hearth::cpu {
namespace {

// The number in a one-line file; `fallback` if it is missing or says "max".
uint64_t number_in(const std::string& path, uint64_t fallback) {
  std::ifstream in(path);
  uint64_t value;
  return in >> value ? value : fallback;
}

// The entry `key` (in bytes) of a cgroup's memory.stat.
uint64_t stat_entry(const std::string& path, const std::string& key) {
  std::ifstream in(path);
  std::string name;
  for (uint64_t value; in >> name >> value;)
    if (name == key) return value;
  return 0;
}

uint64_t meminfo_available() {
  std::ifstream in("/proc/meminfo");
  std::string key, unit;
  for (uint64_t kilobytes; in >> key >> kilobytes; std::getline(in, unit))
    if (key == "MemAvailable:") return kilobytes * 1024;
  return std::numeric_limits<uint64_t>::max();
}

// What is left under the limits of this process's cgroup (v2) and its parents. Page cache counts as
// free: the kernel gives it back.
uint64_t cgroup_left() {
  uint64_t left = std::numeric_limits<uint64_t>::max();
  std::ifstream in("/proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("0::", 0) != 0) continue;
    for (std::string path = line.substr(3);; path = path.substr(0, path.rfind('/'))) {
      const std::string folder = "/sys/fs/cgroup" + path;
      const uint64_t none = std::numeric_limits<uint64_t>::max();
      if (const uint64_t limit = number_in(folder + "/memory.max", none); limit != none) {
        const uint64_t used = number_in(folder + "/memory.current", 0);
        const uint64_t cache = std::min(used, stat_entry(folder + "/memory.stat", "file"));
        left = std::min(left, limit - std::min(limit, used - cache));
      }
      if (path.empty() || path == "/") break;
    }
  }
  return left;
}

}  // namespace

uint64_t available_memory_bytes() {
  return std::min(meminfo_available(), cgroup_left());
}

}  // namespace hearth::cpu
