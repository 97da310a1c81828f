// Calls the receivers of events on threads of its own, each receiver's one after the other in the order in which they
// were sent: what receivers do overlaps with the next step. A receiver that is slow finds what came meanwhile as one
// event, and holds up nobody else: another thread serves the others.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "engine/engine.h"

namespace hearth::engine {

class Delivery {
 public:
  // A request's receiver. After an exception it gets its last event only.
  class Receiver {
   public:
    Receiver(RequestId id, EventSink sink) : id_(id), sink_(std::move(sink)) {}

   private:
    friend class Delivery;
    const RequestId id_;
    const EventSink sink_;
    // Under the delivery's mutex.
    std::optional<Event> waiting_;
    bool busy_ = false;    // is being called
    bool slow_ = false;    // nobody waits for it any more
    bool failed_ = false;  // has thrown, or too much waits for it
  };

  // `failed` is called when a receiver has thrown or is too slow for what comes, on any thread; it must stay callable
  // until the end.
  explicit Delivery(std::function<void(RequestId)> failed);
  // Delivers what was sent.
  ~Delivery();

  // Any thread.
  void send(const std::shared_ptr<Receiver>& to, Event event);
  // Until all that was sent has been handed over, but for receivers that take longer than a moment. Not on the
  // delivery's threads.
  void wait();

 private:
  using Queue = std::deque<std::shared_ptr<Receiver>>;

  void start_thread();  // under mutex_
  void run();
  bool hand_over(const Receiver& to, const Event& event) const;
  bool all_prompt_are_served() const;

  const std::function<void(RequestId)> failed_;
  std::mutex mutex_;
  std::condition_variable wake_, served_;
  Queue queue_;  // that have an event waiting and are not busy
  std::vector<std::shared_ptr<Receiver>> busy_;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace hearth::engine
