// One at a time, in the order of coming. A mutex that is free again goes to whoever is quickest, which is who just had
// it: a loop that lets go and takes again would starve all others.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace hearth {

class FifoGate {
 public:
  // Waits for those who came before. Whether it had to.
  bool enter() {
    std::unique_lock lock(mutex_);
    const uint64_t own = next_++;
    const bool waits = own != inside_;
    turn_.wait(lock, [&] { return own == inside_; });
    return waits;
  }
  // Only if nobody is inside.
  bool try_enter() {
    const std::lock_guard lock(mutex_);
    if (next_ != inside_) return false;
    ++next_;
    return true;
  }
  void leave() {
    const std::lock_guard lock(mutex_);
    ++inside_;
    turn_.notify_all();
  }
  // How many wait now.
  uint64_t waiting() const {
    const std::lock_guard lock(mutex_);
    return next_ == inside_ ? 0 : next_ - inside_ - 1;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable turn_;
  uint64_t next_ = 0, inside_ = 0;  // tickets: of who comes next, of who is inside or may enter
};

}  // namespace hearth
