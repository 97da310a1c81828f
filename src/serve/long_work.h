// Threads for what takes minutes: models that are made. Each piece of work has its own, so that requests to models,
// which go through Workers, never wait for one.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <thread>

#include "api/service.h"

namespace hearth::serve {

class LongWork {
 public:
  explicit LongWork(size_t most) : most_(most) {}
  ~LongWork() { stop(); }

  // Runs `work` on a thread of its own; what comes back sets the flag that it gets. Nothing: there is too much already,
  // or stop() was called, or the system starts no more threads.
  using Work = std::function<void(const std::atomic<bool>& cancelled)>;
  std::optional<api::Cancel> start(Work work);
  // Cancels all and waits for their end.
  void stop();

 private:
  struct Piece {
    std::shared_ptr<std::atomic<bool>> cancelled = std::make_shared<std::atomic<bool>>(false);
    std::atomic<bool> done = false;
    std::thread thread;
  };
  void collect_done();  // under the mutex

  const size_t most_;
  std::mutex mutex_;
  std::list<Piece> pieces_;
  bool ends_ = false;
};

}  // namespace hearth::serve
