// The one owner of the host in this process: its threads, and the ledger of its memory. What models get are views
// (members), which compute one after the other in the order in which they ask, each for a step at a time, with all
// threads: two teams on the same processors would only wait for each other. What is loaded meanwhile takes turns of a
// few milliseconds between steps.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <utility>

#include "base/fifo_gate.h"
#include "base/memory_ledger.h"
#include "base/thread_pool.h"

namespace hearth {

class HostOwner : public std::enable_shared_from_this<HostOwner> {
 public:
  using Clock = std::chrono::steady_clock;

  // `threads`: most that a member may have. Threads are started when a member needs them.
  explicit HostOwner(
      int threads, std::function<AvailableMemory()> available = [] { return available_memory(); });
  // With a thread for every processor that this process may use.
  static const std::shared_ptr<HostOwner>& of_process();

  MemoryLedger& memory() { return memory_; }
  uint64_t waiting() const { return gate_.waiting(); }  // for a turn, now

  // One model's part in the host. Not for two threads at a time.
  class Member {
   public:
    Member(std::shared_ptr<HostOwner> owner, int threads);
    ~Member();
    Member(const Member&) = delete;

    HostOwner& owner() const { return *owner_; }
    int threads() const { return threads_; }

    // A turn: waits for those who came before. Between begin and end for_each() may be called. A slice is a turn of
    // one who loads, whom nobody need reckon with.
    void begin_step();
    void end_step();
    void begin_slice() { owner_->gate_.enter(); }
    void end_slice() { owner_->gate_.leave(); }
    // For how long begin_step() has waited since the last call.
    std::chrono::nanoseconds take_waited() { return std::exchange(waited_, {}); }

    template <class Body>
    void for_each(uint32_t items, Body&& body) {
      owner_->pool_.for_each(items, std::forward<Body>(body), threads_);
    }
    // Outside a turn: on all threads if nobody has a turn now, else on the calling one alone, which is quicker than to
    // wait for somebody's step.
    void for_each_if_free(uint32_t items, const std::function<void(uint32_t)>& body);

    // How many members compute steps these days, this one included.
    uint32_t sharers(Clock::time_point now = Clock::now()) const;

   private:
    friend class HostOwner;
    const std::shared_ptr<HostOwner> owner_;
    const int threads_;
    std::chrono::nanoseconds waited_{0};
    std::atomic<bool> inside_ = false;              // or waits
    std::atomic<int64_t> last_ns_ = INT64_MIN / 2;  // when its last step ended
    std::list<Member*>::iterator in_members_;
  };
  // `threads`: at least 1; cut to what the owner has.
  std::shared_ptr<Member> join(int threads);

 private:
  const int threads_;
  MemoryLedger memory_;
  FifoGate gate_;
  ThreadPool pool_;  // used by who has a turn
  mutable std::mutex mutex_;
  std::list<Member*> members_;
};

}  // namespace hearth
