#include "base/processors.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <memory>
#include <sstream>

#include "base/control_groups.h"
#include "base/file.h"

namespace hearth {
namespace {

// Processors' worth of time that a group gives: quota and period in microseconds, in one file in version 2 and in two
// in version 1. 0 if it sets no limit: "max" and -1 mean none.
double quota_of(const ControlGroup& group) {
  const auto text_of = [&](const char* name) {
    const auto text = read_file(group.folder + name);
    return text ? *text : std::string();
  };
  std::istringstream fields(group.version == 2 ? text_of("/cpu.max")
                                               : text_of("/cpu.cfs_quota_us") + " " + text_of("/cpu.cfs_period_us"));
  double quota = 0, period = 0;
  fields >> quota >> period;
  return quota > 0 && period > 0 ? quota / period : 0;
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

std::optional<int> processor_quota(const std::string& root) {
  double tightest = 0;
  for (const ControlGroup& group : control_groups("cpu", root)) {
    const double quota = quota_of(group);
    if (quota > 0 && (tightest == 0 || quota < tightest)) tightest = quota;
  }
  if (tightest == 0) return std::nullopt;
  return static_cast<int>(std::ceil(std::min(tightest, 1e6)));
}

int usable_processors() {
  const int allowed = processors_of_mask();
  return std::max(1, std::min(allowed, processor_quota().value_or(allowed)));
}

}  // namespace hearth
