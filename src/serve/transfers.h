// Pulls and pushes that run in a server. Who asks for one that runs already sees the same one; it ends when the last of
// those who wanted it has gone.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "api/service.h"

namespace hearth::serve {

class Transfers {
 public:
  enum class Kind { kPull, kPush };
  // Any thread, like all here.
  Transfers() = default;
  ~Transfers();  // ends all, and waits

  // `sink` is called on another thread; its last event has `last`. More than a few at once wait for their turn.
  api::Cancel start(Kind kind, const api::TransferRequest& request, api::TransferSink sink);

 private:
  struct Job;
  void run(const std::shared_ptr<Job>& job);
  void leave(const std::shared_ptr<Job>& job, uint64_t number);
  void tell(Job& job, const api::TransferEvent& event);

  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Job>> jobs_;  // that run, by what they do
  std::list<std::thread> threads_;
  bool ends_ = false;
};

}  // namespace hearth::serve
