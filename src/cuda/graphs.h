// Runs lists of launches, those seen before as instantiated CUDA graphs: one call of the driver instead of
// hundreds, no gaps between kernels, and launches that are marked so run beside each other.
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "cuda/launch.h"
#include "driver/handles.h"

namespace hearth::cuda {

class Graphs {
 public:
  // More kept would cost host and device memory for steps that hardly come again.
  static constexpr size_t kMost = 64;

  struct Counts {
    uint64_t direct = 0, instantiated = 0, replayed = 0;
  };

  // `replay` false: never as a graph.
  Graphs(const driver::Cuda& cuda, bool replay) : cuda_(cuda), replay_(replay) {}

  // Queues the launches on the stream, in order: directly the first time, from the second time on as a graph.
  Status run(const LaunchList& list, const driver::Stream& stream);
  const Counts& counts() const { return counts_; }
  void clear() { entries_.clear(); }

 private:
  struct Entry {
    uint64_t hash;
    LaunchList list;
    driver::GraphExec graph;  // empty until the second time
    uint64_t used;            // the turn in which it was last run
  };

  Entry* find(const LaunchList& list);
  void remember(const LaunchList& list);
  Status launch_all(const LaunchList& list, const driver::Stream& stream) const;
  Result<driver::GraphExec> instantiate(const LaunchList& list) const;

  const driver::Cuda& cuda_;
  const bool replay_;
  std::vector<Entry> entries_;
  uint64_t turn_ = 0;
  Counts counts_;
};

}  // namespace hearth::cuda
