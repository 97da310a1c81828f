#include "serve/workers.h"

#include <exception>
#include <utility>

#include "base/log.h"

namespace hearth::serve {

Workers::Workers(int threads, size_t most_waiting) : most_waiting_(most_waiting) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

void Workers::stop() {
  decltype(waiting_) dropped;
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
    dropped.swap(waiting_);
    count_ = 0;
  }
  arrived_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

bool Workers::post(const std::string& user, std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    if (ends_ || count_ >= most_waiting_) return false;
    auto& tasks = waiting_[user];
    if (tasks.empty()) turns_.push_back(user);
    tasks.push_back(std::move(task));
    ++count_;
  }
  arrived_.notify_one();
  return true;
}

std::function<void()> Workers::take() {
  const std::string user = std::move(turns_.front());
  turns_.pop_front();
  const auto at = waiting_.find(user);
  std::function<void()> task = std::move(at->second.front());
  at->second.pop_front();
  if (at->second.empty())
    waiting_.erase(at);
  else
    turns_.push_back(user);
  --count_;
  return task;
}

void Workers::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    arrived_.wait(lock, [this] { return ends_ || count_ > 0; });
    if (ends_) return;
    std::function<void()> task = take();
    lock.unlock();
    try {
      task();
    } catch (const std::exception& problem) {  // of memory, say: the client is told that its answer broke off
      log_error("a request failed: {}", problem.what());
    }
    task = nullptr;  // what it holds ends outside the lock
    lock.lock();
  }
}

}  // namespace hearth::serve
