#include "base/host_owner.h"

#include <algorithm>

#include "base/check.h"
#include "base/processors.h"

namespace hearth {
namespace {

// Who has computed no step for so long is not reckoned with.
constexpr std::chrono::milliseconds kRecent(500);

int64_t ns_of(HostOwner::Clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

}  // namespace

HostOwner::HostOwner(int threads, std::function<AvailableMemory()> available)
    : threads_(threads), memory_(std::move(available)), pool_(1, threads) {}

const std::shared_ptr<HostOwner>& HostOwner::of_process() {
  static const auto owner = std::make_shared<HostOwner>(usable_processors());
  return owner;
}

std::shared_ptr<HostOwner::Member> HostOwner::join(int threads) {
  CHECK(threads >= 1);
  auto member = std::make_shared<Member>(shared_from_this(), std::min(threads, threads_));
  member->begin_slice();
  try {
    pool_.grow(member->threads());
  } catch (...) {
    member->end_slice();
    throw;
  }
  member->end_slice();
  return member;
}

HostOwner::Member::Member(std::shared_ptr<HostOwner> owner, int threads) : owner_(std::move(owner)), threads_(threads) {
  const std::lock_guard lock(owner_->mutex_);
  in_members_ = owner_->members_.insert(owner_->members_.end(), this);
}

HostOwner::Member::~Member() {
  CHECK(!inside_);  // a step was left open: all others would wait for ever
  const std::lock_guard lock(owner_->mutex_);
  owner_->members_.erase(in_members_);
}

void HostOwner::Member::begin_step() {
  CHECK(!inside_);
  inside_ = true;
  const Clock::time_point asked = Clock::now();
  if (owner_->gate_.enter()) waited_ += Clock::now() - asked;
}

void HostOwner::Member::end_step() {
  last_ns_ = ns_of(Clock::now());
  inside_ = false;
  owner_->gate_.leave();
}

void HostOwner::Member::for_each_if_free(uint32_t items, const std::function<void(uint32_t)>& body) {
  if (!owner_->gate_.try_enter()) {
    for (uint32_t i = 0; i < items; ++i) body(i);
    return;
  }
  struct Turn {
    FifoGate& gate;
    ~Turn() { gate.leave(); }
  } const turn{owner_->gate_};
  for_each(items, [&](uint32_t i, int) { body(i); });
}

uint32_t HostOwner::Member::sharers(Clock::time_point now) const {
  const int64_t since = ns_of(now - kRecent);
  const std::lock_guard lock(owner_->mutex_);
  return static_cast<uint32_t>(std::ranges::count_if(owner_->members_, [&](const Member* member) {
    return member == this || member->inside_ || member->last_ns_ >= since;
  }));
}

}  // namespace hearth
