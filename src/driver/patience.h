// Calls into a driver that may never answer.
#pragma once

#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

namespace hearth::driver {

// What `work` returns, or nothing if it takes longer than `patience`; it then goes on in a thread that nobody waits
// for, so it must own all that it uses.
template <class Work>
auto with_patience(std::chrono::milliseconds patience, Work work) -> std::optional<decltype(work())> {
  using Value = decltype(work());
  std::packaged_task<Value()> task(std::move(work));
  std::future<Value> answer = task.get_future();
  std::thread(std::move(task)).detach();
  if (answer.wait_for(patience) != std::future_status::ready) return std::nullopt;
  return answer.get();
}

}  // namespace hearth::driver
