// Keeps an eye on the disks of the stores: what is wrong with them goes to the health and the figures, the ballast
// comes and goes, and downloads that nobody goes on with for a week are deleted.
#pragma once

#include <chrono>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "metrics/figures.h"
#include "serve/health.h"

namespace hearth::serve {

class DiskWatch {
 public:
  explicit DiskWatch(Health& health) : health_(health) {}

  // To be called every second or so; looks now and then. One thread.
  void look();
  // The figures as they were when it looked last. Any thread.
  std::vector<metrics::StoreFigures> figures() const;

 private:
  void look_at(const std::string& name, const std::string& folder, std::set<std::string>& found,
               std::vector<metrics::StoreFigures>& figures);

  Health& health_;
  std::chrono::steady_clock::time_point next_{};
  std::set<std::string> known_;  // ids of what health_ has from here
  mutable std::mutex mutex_;
  std::vector<metrics::StoreFigures> figures_;
};

}  // namespace hearth::serve
