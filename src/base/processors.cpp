#include "base/processors.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <memory>
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

// The kernel refuses a mask that is smaller than its own (EINVAL), so it grows until it is taken: cpu_set_t has room
// for 1024 processors. At least 1.
int processors_of_mask() {
  constexpr int kMost_processors = 1 << 20;
  for (int most = CPU_SETSIZE; most <= kMost_processors; most *= 2) {
    const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set(CPU_ALLOC(static_cast<size_t>(most)),
                                                               [](cpu_set_t* mask) { CPU_FREE(mask); });
    if (set == nullptr) break;
    const size_t bytes = CPU_ALLOC_SIZE(static_cast<size_t>(most));
    if (::sched_getaffinity(0, bytes, set.get()) == 0) return CPU_COUNT_S(bytes, set.get());
    if (errno != EINVAL) break;
  }
  return 1;
}

}  // namespace

int usable_processors() {
  int count = processors_of_mask();
  if (const double quota = cgroup_quota(); quota > 0) count = std::min(count, static_cast<int>(std::ceil(quota)));
  return std::max(count, 1);
}

}  // namespace hearth
