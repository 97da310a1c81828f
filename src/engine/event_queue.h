// From the engine to a thread that reads one answer in its own time, however slowly: what waits is one event.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>

#include "engine/engine.h"

namespace hearth::engine {

// What came first and what followed it, as one event.
void append(Event& event, Event&& next);

// What may wait for a receiver; beyond it the request is cancelled.
inline constexpr size_t kMost_waiting_bytes = 8 << 20;
size_t bytes(const Event& event);

class EventQueue {
 public:
  // For Engine::submit(); stays good when the queue is gone.
  EventSink sink() const;

  // All that came since the last call; waits for the next if there is nothing. Nothing: the time is over.
  std::optional<Event> pop(std::chrono::milliseconds most);

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable arrived;
    std::optional<Event> waiting;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace hearth::engine
