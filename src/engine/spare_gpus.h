// The GPUs that a model does without. From time to time one of them is opened, to see whether it has room now; that
// wakes the GPU and makes a context there, which may take seconds, so it happens on a thread of its own beside the
// steps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "device/device.h"
#include "engine/background.h"

namespace hearth::engine {

// Opens a device; called again when it was lost.
using DeviceFactory = std::function<Result<std::unique_ptr<device::Device>>()>;

class SpareGpus {
 public:
  // Each look comes twice as long after the one before, from `wait_ms` on; times are of one steady clock. The factories
  // must outlive it; one that is spare is called by nobody else.
  SpareGpus(const std::vector<DeviceFactory>& factories, int64_t wait_ms)
      : factories_(factories), first_wait_ms_(wait_ms), wait_ms_(wait_ms) {}

  void add(size_t factory) { spare_.push_back(factory); }
  // Knows none any more; waits for one that is being opened, and closes it.
  void forget();
  void not_before(int64_t ms) { due_ms_ = std::max(due_ms_, ms); }

  // One is being opened, or was and waits for the next look().
  bool looking() const { return looking_; }
  // Begins to open one if it is time, and gives the one that has been opened since the last call; null: none. It is to
  // be handed to taken() or to close(). Errors: the factory's.
  Result<std::unique_ptr<device::Device>> look(int64_t now_ms);
  size_t taken();  // the one that look() gave is used from now on: which factory it is of
  void close(std::unique_ptr<device::Device> device);

 private:
  const std::vector<DeviceFactory>& factories_;
  const int64_t first_wait_ms_;
  std::vector<size_t> spare_;  // the last one was looked at last
  int64_t due_ms_ = 0, wait_ms_;
  bool looking_ = false;
  std::optional<Result<std::unique_ptr<device::Device>>> opened_;  // the thread's while it is busy
  Background thread_;
};

}  // namespace hearth::engine
