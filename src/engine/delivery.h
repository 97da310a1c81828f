// Calls the receivers of events on a thread of its own, in the order in which they were sent: what receivers do
// overlaps with the next step.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/engine.h"

namespace hearth::engine {

class Delivery {
 public:
  // A request's receiver. After an exception it gets its last event only.
  class Receiver {
   public:
    explicit Receiver(EventSink sink) : sink_(std::move(sink)) {}

   private:
    friend class Delivery;
    const EventSink sink_;
    bool failed_ = false;  // the delivery's thread's own
  };

  // `failed` is called on the delivery's thread when a receiver has thrown; it must stay callable until the end.
  explicit Delivery(std::function<void(RequestId)> failed);
  // Delivers what was sent.
  ~Delivery();

  // Any thread.
  void send(RequestId id, std::shared_ptr<Receiver> to, Event event);
  // Until all that was sent has been handed over. Not on the delivery's thread.
  void wait();

 private:
  struct Parcel {
    RequestId id;
    std::shared_ptr<Receiver> to;
    Event event;
  };

  void run();
  void hand_over(const Parcel& parcel) const;

  const std::function<void(RequestId)> failed_;
  std::mutex mutex_;
  std::condition_variable wake_, idle_;
  std::vector<Parcel> parcels_;
  bool busy_ = false, ending_ = false;
  std::thread thread_;
};

}  // namespace hearth::engine
