// Pulls and pushes that run in a server. Who asks for one that runs already sees the same one; it ends when the last of
// those who wanted it has gone.
#pragma once

#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "api/service.h"
#include "metrics/figures.h"
#include "serve/long_work.h"

namespace hearth::serve {

class Transfers {
 public:
  enum class Kind { kPull, kPush };
  // Any thread. The sinks are called on another one, or at once where no thread can be had.
  api::Cancel start(Kind kind, const api::TransferRequest& request, api::WorkSinks sinks);
  std::vector<metrics::TransferFigures> figures() const;  // of those that run

 private:
  struct Job;
  void run(const std::shared_ptr<Job>& job, const std::atomic<bool>& ends);
  api::Cancel add(const std::shared_ptr<Job>& job, api::WorkSinks sinks);
  void leave(const std::shared_ptr<Job>& job, uint64_t number);
  void tell(Job& job, const api::WorkStep& step);
  void end(const std::shared_ptr<Job>& job, const Status& status);

  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Job>> jobs_;  // that run, by what they do
  // The first to go: it ends all, and waits. They spend their time waiting for the network, so there may be many.
  LongWork work_{std::numeric_limits<size_t>::max()};
};

}  // namespace hearth::serve
