#include "fleet/gpu_leases.h"

#include <algorithm>

namespace hearth::fleet {
namespace {

uint64_t less(uint64_t a, uint64_t b) {
  return a > b ? a - b : 0;
}

}  // namespace

void GpuLeases::add(GpuLease lease, Time until) {
  promises_.push_back({std::move(lease), until, {}});
}

GpuLease* GpuLeases::find(const std::string& id) {
  const auto found = std::ranges::find_if(promises_, [&](const Promise& p) { return p.lease.id == id; });
  return id.empty() || found == promises_.end() ? nullptr : &found->lease;
}

bool GpuLeases::renew(const std::string& id, std::chrono::system_clock::time_point shown, Time until) {
  for (Promise& promise : promises_) {
    if (id.empty() || promise.lease.id != id) continue;
    promise.lease.until = shown;
    promise.until = until;
    return true;
  }
  return false;
}

bool GpuLeases::end(const std::string& id) {
  return !id.empty() && std::erase_if(promises_, [&](const Promise& p) { return p.lease.id == id; }) > 0;
}

void GpuLeases::end_all() {
  promises_.clear();
  for (const auto& [card, bytes] : kept_) keep_(card, 0);
  kept_.clear();
}

void GpuLeases::claim(const std::string& card, uint64_t bytes) {
  for (const Promise& promise : promises_)
    if (promise.lease.locked && promise.lease.card == card) bytes = less(bytes, promise.lease.bytes);
  const auto found =
      std::ranges::find_if(promises_, [&](const Promise& p) { return p.lease.id.empty() && p.lease.card == card; });
  if (bytes == 0) {
    if (found != promises_.end()) promises_.erase(found);
    return;
  }
  if (found != promises_.end()) {
    found->lease.bytes = bytes;
    return;
  }
  promises_.push_back({{.card = card, .bytes = bytes}, Time::max(), {}});
}

std::vector<GpuLease> GpuLeases::list() const {
  std::vector<GpuLease> leases;
  for (const Promise& promise : promises_)
    if (!promise.lease.id.empty()) leases.push_back(promise.lease);
  return leases;
}

void GpuLeases::look(const std::vector<CardMemory>& cards, const Held& held, Time now) {
  std::erase_if(promises_, [&](const Promise& p) { return p.until <= now; });
  std::map<std::string, uint64_t> kept;
  for (const CardMemory& card : cards) {
    const auto own = held.find(card.id);
    const uint64_t others = less(card.total_bytes, card.free_bytes + (own == held.end() ? 0 : own->second));
    uint64_t promised = 0;
    std::optional<uint64_t> before;  // the first promise
    for (Promise& promise : promises_) {
      if (promise.lease.card != card.id) continue;
      if (!promise.others_before) promise.others_before = others;
      if (!before) before = promise.others_before;
      promised += promise.lease.bytes;
    }
    const uint64_t left = less(promised, less(others, before.value_or(others)));
    if (left > 0) kept[card.id] = left;
  }
  for (const auto& [card, bytes] : kept_)
    if (!kept.contains(card)) keep_(card, 0);
  for (const auto& [card, bytes] : kept) keep_(card, bytes);
  kept_ = std::move(kept);
}

uint64_t GpuLeases::kept_bytes(const std::string& card) const {
  const auto found = kept_.find(card);
  return found == kept_.end() ? 0 : found->second;
}

}  // namespace hearth::fleet
