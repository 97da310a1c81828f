// A fixed team of threads that run one parallel section after another, without locks or allocation per
// section. Between sections workers spin for a short while and then sleep.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace hearth {

class ThreadPool {
 public:
  // The caller counts as one of them. Throws std::system_error if the system starts no more threads.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }

  // Runs body(thread) once on every thread, 0 being the caller; returns when all are done. If it throws, on any of
  // them, so does this then. Not reentrant; sections are started by one thread at a time.
  template <class Body>
  void on_all(Body&& body) {
    run([](void* context, int thread) { (*static_cast<std::remove_reference_t<Body>*>(context))(thread); },
        const_cast<void*>(static_cast<const void*>(&body)));
  }

  // Runs body(item, thread) for every item of [0, items). Each thread has a contiguous share and takes
  // from the others' when it is done with its own. Few items run on the caller alone.
  template <class Body>
  void for_each(uint32_t items, Body&& body) {
    if (items <= 1 || threads_ == 1) {
      for (uint32_t i = 0; i < items; ++i) body(i, 0);
      return;
    }
    share(items);
    on_all([&](int thread) {
      for (int k = 0; k < threads_; ++k) {
        Share& from = shares_[static_cast<size_t>((thread + k) % threads_)];
        for (uint32_t i; (i = from.next.fetch_add(1, std::memory_order_relaxed)) < from.end;) body(i, thread);
      }
    });
  }

 private:
  using Function = void (*)(void* context, int thread);
  struct alignas(64) Share {
    std::atomic<uint32_t> next{0};
    uint32_t end = 0;
  };

  void run(Function function, void* context);
  void call(int thread);
  void share(uint32_t items);
  void work(int thread);
  void stop();

  const int threads_;
  std::unique_ptr<Share[]> shares_;
  Function function_ = nullptr;
  void* context_ = nullptr;
  alignas(64) std::atomic<uint32_t> section_{0};  // counts started sections
  alignas(64) std::atomic<int> running_{0};       // workers that are not done with the current one
  std::atomic<bool> stop_{false};
  std::mutex failure_mutex_;
  std::exception_ptr failure_;  // the first of the current section
  std::vector<std::thread> workers_;
};

}  // namespace hearth
