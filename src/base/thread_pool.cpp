#include "base/thread_pool.h"

#include <chrono>
#include <utility>

#include "base/check.h"

namespace hearth {
namespace {

// Ops of one step follow each other within microseconds, so waiting threads spin, first without and then
// with letting others have the processor (who waits may be what keeps the awaited thread from running).
// A worker sleeps when a step is over.
constexpr int kSpins = 2000;
constexpr auto kAwake = std::chrono::microseconds(300);

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

ThreadPool::ThreadPool(int threads) : threads_(threads), shares_(new Share[static_cast<size_t>(threads)]) {
  CHECK(threads >= 1);
  try {
    for (int t = 1; t < threads; ++t) workers_.emplace_back([this, t] { work(t); });
  } catch (...) {
    stop();
    throw;
  }
}

ThreadPool::~ThreadPool() {
  stop();
}

void ThreadPool::stop() {
  stop_.store(true);
  section_.fetch_add(1);
  section_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::share(uint32_t items) {
  for (int t = 0; t < threads_; ++t) {
    const auto part = [&](int i) {
      return static_cast<uint32_t>(uint64_t{items} * static_cast<uint64_t>(i) / static_cast<uint64_t>(threads_));
    };
    shares_[static_cast<size_t>(t)].next.store(part(t), std::memory_order_relaxed);
    shares_[static_cast<size_t>(t)].end = part(t + 1);
  }
}

void ThreadPool::run(Function function, void* context) {
  function_ = function;
  context_ = context;
  running_.store(threads_ - 1, std::memory_order_relaxed);
  section_.fetch_add(1, std::memory_order_seq_cst);
  section_.notify_all();
  call(0);
  for (int spins = 0; running_.load(std::memory_order_acquire) != 0; ++spins) {
    if (spins < kSpins)
      pause();
    else
      std::this_thread::yield();
  }
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

// What is thrown on a worker must reach the caller, and the caller must not leave while workers use what it has.
void ThreadPool::call(int thread) {
  try {
    function_(context_, thread);
  } catch (...) {
    const std::lock_guard lock(failure_mutex_);
    if (!failure_) failure_ = std::current_exception();
  }
}

void ThreadPool::work(int thread) {
  for (uint32_t seen = 0;;) {
    const auto sleep_at = std::chrono::steady_clock::now() + kAwake;
    for (int spins = 0; section_.load(std::memory_order_acquire) == seen; ++spins) {
      if (spins < kSpins) {
        pause();
      } else if (std::chrono::steady_clock::now() < sleep_at) {
        std::this_thread::yield();
      } else {
        section_.wait(seen, std::memory_order_acquire);
      }
    }
    ++seen;  // the next section starts only after this one has ended everywhere
    if (stop_.load()) return;
    call(thread);
    running_.fetch_sub(1, std::memory_order_release);
  }
}

}  // namespace hearth
