#include "base/thread_pool.h"

#include <chrono>

#include "base/check.h"

namespace hearth {
namespace {

// Ops of one step follow each other within microseconds; a worker sleeps only when a step is over.
constexpr auto kSpin = std::chrono::microseconds(200);
constexpr int kSpinsPerClock = 64;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

ThreadPool::ThreadPool(int threads) : threads_(threads), shares_(new Share[static_cast<size_t>(threads)]) {
  CHECK(threads >= 1);
  for (int t = 1; t < threads; ++t) workers_.emplace_back([this, t] { work(t); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  section_.fetch_add(1);
  section_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::share(uint32_t items) {
  for (int t = 0; t < threads_; ++t) {
    const auto part = [&](int i) { return static_cast<uint32_t>(uint64_t{items} * static_cast<uint64_t>(i) / static_cast<uint64_t>(threads_)); };
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
  function(context, 0);
  for (int spins = 0; running_.load(std::memory_order_acquire) != 0; ++spins) {
    if (spins < 1 << 14) pause();
    else std::this_thread::yield();  // a worker has lost its processor: let it have this one
  }
}

void ThreadPool::work(int thread) {
  for (uint32_t seen = 0;;) {
    auto until = std::chrono::steady_clock::now() + kSpin;
    while (section_.load(std::memory_order_acquire) == seen) {
      for (int i = 0; i < kSpinsPerClock && section_.load(std::memory_order_acquire) == seen; ++i) pause();
      if (std::chrono::steady_clock::now() > until) section_.wait(seen, std::memory_order_acquire);
    }
    ++seen;  // the next section starts only after this one has ended everywhere
    if (stop_.load()) return;
    function_(context_, thread);
    running_.fetch_sub(1, std::memory_order_release);
  }
}

}  // namespace hearth
