#include "serve/holding.h"

namespace hearth::serve {

bool Holding::take(std::shared_ptr<Lease> lease) {
  const std::lock_guard lock(mutex_);
  if (cancelled_) return false;
  lease_ = std::move(lease);
  return true;
}

void Holding::started(std::span<const engine::RequestId> ids) {
  bool gone = false;
  {
    const std::lock_guard lock(mutex_);
    ids_.insert(ids_.end(), ids.begin(), ids.end());
    gone = cancelled_;
  }
  if (gone) cancel();
}

void Holding::cancel() {
  std::shared_ptr<Lease> lease;
  std::vector<engine::RequestId> ids;
  {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    lease = lease_;
    ids = ids_;
  }
  if (!lease) return;
  for (const engine::RequestId id : ids) (*lease)->engine->cancel(id);
}

void Holding::release() {
  std::shared_ptr<Lease> lease;  // goes after the lock
  const std::lock_guard lock(mutex_);
  lease.swap(lease_);
  ids_.clear();
}

}  // namespace hearth::serve
