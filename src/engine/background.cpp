#include "engine/background.h"

#include <exception>
#include <utility>

#include "base/check.h"

namespace hearth::engine {

Background::~Background() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Background::start(std::function<void()> job) {
  const std::lock_guard lock(mutex_);
  CHECK(!job_);
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  job_ = std::move(job);
  changed_.notify_all();
}

void Background::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !job_; });
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

bool Background::busy() const {
  const std::lock_guard lock(mutex_);
  return job_ != nullptr;
}

void Background::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return ending_ || job_; });
    if (!job_) return;
    lock.unlock();
    std::exception_ptr failure;
    try {
      job_();
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    failure_ = failure;
    job_ = nullptr;
    changed_.notify_all();
  }
}

}  // namespace hearth::engine
