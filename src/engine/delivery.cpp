#include "engine/delivery.h"

#include "base/log.h"

namespace hearth::engine {

Delivery::Delivery(std::function<void(RequestId)> failed) : failed_(std::move(failed)), thread_([this] { run(); }) {}

Delivery::~Delivery() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Delivery::send(RequestId id, std::shared_ptr<Receiver> to, Event event) {
  {
    std::lock_guard lock(mutex_);
    parcels_.push_back({id, std::move(to), std::move(event)});
  }
  wake_.notify_one();
}

void Delivery::wait() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return !busy_ && parcels_.empty(); });
}

void Delivery::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return ending_ || !parcels_.empty(); });
    if (parcels_.empty()) return;
    std::vector<Parcel> taken;
    taken.swap(parcels_);
    busy_ = true;
    lock.unlock();
    for (const Parcel& parcel : taken) hand_over(parcel);
    taken.clear();  // what receivers hold ends here, not under the lock
    lock.lock();
    busy_ = false;
    idle_.notify_all();
  }
}

void Delivery::hand_over(const Parcel& parcel) const {
  Receiver& to = *parcel.to;
  if (to.failed_ && !parcel.event.finish) return;
  try {
    to.sink_(parcel.event);
    return;
  } catch (const std::exception& exception) {
    log_error("engine: a receiver of events failed, its request is cancelled: {}", exception.what());
  } catch (...) {
    log_error("engine: a receiver of events failed, its request is cancelled");
  }
  to.failed_ = true;
  if (!parcel.event.finish) failed_(parcel.id);
}

}  // namespace hearth::engine
