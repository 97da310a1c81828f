// A fixed team of threads that run one parallel section after another, without locks or allocation per section.
//
// A section ends when its items are done, not when the workers are: one that was asleep or whose processor another
// program has joins late or never, and what it would have done the others do. Only an item that somebody holds is
// waited for. Workers spin between sections and sleep when none comes; sooner where processors are contended. Where
// workers cost more than they save (TeamGauge) sections run on the caller alone.
#pragma once

#include <algorithm>
#include <atomic>
#include <climits>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

#include "base/team_gauge.h"

namespace hearth {

class ThreadPool {
 public:
  // The caller counts as one of them. Throws std::system_error if the system starts no more threads.
  explicit ThreadPool(int threads) : ThreadPool(threads, threads) {}
  // `most`: as many as grow() may make of them.
  ThreadPool(int threads, int most);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return 1 + static_cast<int>(workers_.size()); }
  // Starts threads until there are so many. While no section runs; throws as the constructor.
  void grow(int threads);

  // Runs body(item, thread) for every item of [0, items); thread 0 is the caller, who always works too. Each thread has
  // a contiguous share and takes from the others' when it is done with its own. Returns when all items are done; if an
  // item throws, so does this then. Not reentrant; sections are started by one thread at a time. `team`: how many
  // threads take part, at most all.
  template <class Body>
  void for_each(uint32_t items, Body&& body, int team = INT_MAX) {
    team = std::min(team, threads());
    if (items > 1 && team > 1 && wants_team()) {
      run(
          items, team,
          [](void* context, uint32_t item, int thread) {
            (*static_cast<std::remove_reference_t<Body>*>(context))(item, thread);
          },
          const_cast<void*>(static_cast<const void*>(&body)));
      return;
    }
    for (uint32_t i = 0; i < items; ++i) body(i, 0);
  }

 private:
  using Function = void (*)(void* context, uint32_t item, int thread);
  // Items end - left to end are still to be taken. Who takes one keeps its section from ending, so that a thread that
  // comes late takes nothing or becomes part of whichever section runs.
  struct alignas(64) Share {
    std::atomic<uint32_t> left{0};
    uint32_t end = 0;
  };

  bool wants_team() const;
  void run(uint32_t items, int team, Function function, void* context);
  void publish(uint32_t items, int team);
  void wait_for_workers();
  // Takes and runs items until there are none; how many.
  uint32_t run_items(int thread);
  void run_item(uint32_t item, int thread);
  void work(int thread);
  // Waits for a section other than `seen`.
  uint32_t next_section(uint32_t seen);
  bool contended() const;
  void note_contention();
  void stop();

  const int most_;
  std::unique_ptr<Share[]> shares_;
  TeamGauge gauge_;
  Function function_ = nullptr;
  void* context_ = nullptr;
  alignas(64) std::atomic<uint32_t> section_{0};  // the current one's number
  std::atomic<int> team_{1};                      // of the current section
  std::atomic<uint32_t> asleep_{0};               // workers that wait for it to change
  std::atomic<bool> stop_{false};
  std::atomic<int64_t> contended_until_ns_{0};
  alignas(64) std::atomic<uint32_t> left_{0};  // items of the current section that are not done
  std::atomic<bool> caller_asleep_{false};     // until left_ is 0
  std::mutex failure_mutex_;
  std::exception_ptr failure_;  // the first of the current section
  std::vector<std::thread> workers_;
};

}  // namespace hearth
