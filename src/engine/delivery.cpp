#include "engine/delivery.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "engine/event_queue.h"

namespace hearth::engine {
namespace {

// Receivers pass events on, which takes microseconds, even on a busy machine not this long; one that takes longer than
// this once is not waited for again.
constexpr std::chrono::milliseconds kMoment(50);
constexpr size_t kMost_threads = 16;  // so many receivers but one may block without harm to others

}  // namespace

Delivery::Delivery(std::function<void(RequestId)> failed) : failed_(std::move(failed)) {
  const std::lock_guard lock(mutex_);
  start_thread();
}

Delivery::~Delivery() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Delivery::start_thread() {
  threads_.emplace_back([this] { run(); });
}

void Delivery::send(const std::shared_ptr<Receiver>& to, Event event) {
  bool too_much = false;
  {
    const std::lock_guard lock(mutex_);
    if (to->failed_ && !event.finish) return;
    if (to->waiting_) {
      append(*to->waiting_, std::move(event));
    } else {
      to->waiting_ = std::move(event);
      if (!to->busy_) queue_.push_back(to);
    }
    too_much = !to->waiting_->finish && bytes(*to->waiting_) > kMost_waiting_bytes;
    to->failed_ |= too_much;
  }
  wake_.notify_one();
  if (!too_much) return;
  log_warn("engine: a receiver of events is too slow, its request is cancelled");
  failed_(to->id_);
}

void Delivery::wait() {
  std::unique_lock lock(mutex_);
  while (!served_.wait_for(lock, kMoment, [this] { return all_prompt_are_served(); })) {
    for (const auto& receiver : busy_) receiver->slow_ = true;
    if (queue_.empty() || threads_.size() == kMost_threads) return;
    start_thread();
  }
}

bool Delivery::all_prompt_are_served() const {
  const auto slow = [](const auto& receiver) { return receiver->slow_; };
  return std::ranges::all_of(queue_, slow) && std::ranges::all_of(busy_, slow);
}

void Delivery::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return ending_ || !queue_.empty(); });
    if (queue_.empty()) return;
    std::shared_ptr<Receiver> to = std::move(queue_.front());
    queue_.pop_front();
    std::optional<Event> event = std::exchange(to->waiting_, std::nullopt);
    if (to->failed_ && !event->finish) continue;
    to->busy_ = true;
    busy_.push_back(to);
    lock.unlock();
    const bool taken = hand_over(*to, *event);
    if (!taken && !event->finish) failed_(to->id_);
    lock.lock();
    to->failed_ |= !taken;
    to->busy_ = false;
    std::erase(busy_, to);
    if (to->waiting_) queue_.push_back(to);
    served_.notify_all();
    lock.unlock();  // what receivers hold ends without it
    to.reset();
    event.reset();
    lock.lock();
  }
}

bool Delivery::hand_over(const Receiver& to, const Event& event) const {
  try {
    to.sink_(event);
    return true;
  } catch (const std::exception& exception) {
    log_error("engine: a receiver of events failed, its request is cancelled: {}", exception.what());
  } catch (...) {
    log_error("engine: a receiver of events failed, its request is cancelled");
  }
  return false;
}

}  // namespace hearth::engine
