#include "base/processors.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

namespace hearth {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

// Processors' worth of time in quota / period; 0 if there is no limit.
double quota_of(const std::string& quota, const std::string& period) {
  const double q = std::strtod(quota.c_str(), nullptr), p = std::strtod(period.c_str(), nullptr);
  return q > 0 && p > 0 ? q / p : 0;  // "max" and -1 mean none
}

// The tightest quota on the path from this process's cgroup to the root (cgroup v2, then v1).
// https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files
double cgroup_quota() {
  double tightest = 0;
  const auto consider = [&](double quota) {
    if (quota > 0 && (tightest == 0 || quota < tightest)) tightest = quota;
  };
  std::ifstream in("/proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    std::string path = line.substr(second + 1);
    const bool v2 = controllers.empty();
    if (!v2 && controllers.find("cpu") == std::string::npos) continue;
    const std::string root = v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/" + controllers;
    for (;; path = path.substr(0, path.rfind('/'))) {
      if (v2) {
        std::istringstream fields(first_line(root + path + "/cpu.max"));
        std::string quota, period;
        fields >> quota >> period;
        consider(quota_of(quota, period));
      } else {
        consider(
            quota_of(first_line(root + path + "/cpu.cfs_quota_us"), first_line(root + path + "/cpu.cfs_period_us")));
      }
      if (path.empty() || path == "/") break;
    }
  }
  return tightest;
}

}  // namespace

int usable_processors() {
  cpu_set_t set;
  int count = ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  if (const double quota = cgroup_quota(); quota > 0) count = std::min(count, static_cast<int>(std::ceil(quota)));
  return std::max(count, 1);
}

}  // namespace hearth
