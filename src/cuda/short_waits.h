// How long to ask again and again whether a step has ended, before sleeping until the driver wakes us. Waking up takes
// some tens of microseconds: much for the steps of a small model or a fast GPU, nothing for a long prompt.
#pragma once

#include <chrono>

namespace hearth::cuda {

class ShortWaits {
 public:
  static constexpr std::chrono::microseconds kMost{2000};  // a core's time that a step may cost

  // Of the next wait: it is expected to be like the last one. Nothing if that would not end within kMost.
  std::chrono::microseconds spin() const { return last_ < kMost ? kMost : std::chrono::microseconds(0); }
  void took(std::chrono::nanoseconds wait) { last_ = wait; }

 private:
  std::chrono::nanoseconds last_ = std::chrono::nanoseconds::max();  // the first one is nobody's guess
};

}  // namespace hearth::cuda
