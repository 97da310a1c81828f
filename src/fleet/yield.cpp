// Memory of cards for other programs: see Fleet::yield().
#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "fleet/fleet.h"
#include "fleet/lease_file.h"

namespace hearth::fleet {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kMib = 1 << 20;
constexpr std::chrono::milliseconds kPoll{20};

uint64_t bytes_on(const engine::DeviceStatus& status, const std::string& card) {
  uint64_t bytes = 0;
  for (const engine::DeviceStatus::Device& device : status.devices)
    if (device.gpu && device.id == card) bytes += device.memory.total();
  return bytes;
}

}  // namespace

// What models of this process hold of each card.
GpuLeases::Held Fleet::held() const {
  GpuLeases::Held held;
  for (const Ptr& entry : entries_) {
    if (!entry->resident) continue;
    for (const engine::DeviceStatus::Device& device : entry->resident->engine->devices().devices)
      if (device.gpu) held[device.id] += device.memory.total();
  }
  return held;
}

// Also finds what others have locked in the cards' lease files, if there are any.
void Fleet::look_at_leases(std::unique_lock<std::mutex>& lock) {
  if (Clock::now() < leases_seen_ + kLook_at_leases) return;
  leases_seen_ = Clock::now();
  std::error_code none;
  const bool files = std::filesystem::is_directory(lease_folder(), none);
  if (leases_.empty() && !files) return;
  lock.unlock();
  const std::vector<CardMemory> cards = card_memory();
  std::map<std::string, uint64_t> claimed;
  for (const CardMemory& card : cards) {
    const auto file = LeaseFile::open(lease_folder(), card.id, false);
    claimed[card.id] = file ? file->claimed_mib(card.total_bytes / kMib) * kMib : 0;
  }
  lock.lock();
  for (const auto& [card, bytes] : claimed) leases_.claim(card, bytes);
  leases_.look(cards, held(), Clock::now());
}

// Lets an idle model go that holds some of the card; what was done.
std::optional<std::string> Fleet::unload_idle(const std::string& card, Time until) {
  std::weak_ptr<Entry> going;
  std::string name;
  uint64_t bytes = 0;
  {
    const std::lock_guard lock(mutex_);
    Ptr oldest;
    for (const Ptr& entry : entries_) {
      if (!entry->resident || entry->kept || entry->users > 0) continue;
      if (bytes_on(entry->resident->engine->devices(), card) == 0) continue;
      if (!oldest || entry->last_used < oldest->last_used) oldest = entry;
    }
    if (!oldest) return std::nullopt;
    bytes = bytes_on(oldest->resident->engine->devices(), card);
    name = oldest->found.name;
    retire(*oldest, "yield");
    going = oldest;
    log_info("{} is let go: another program needs the GPU", name);
  }
  changed_.notify_all();
  while (!going.expired() && Clock::now() < until) std::this_thread::sleep_for(kPoll);
  return fmt::format("unloaded {} ({})", name, size_text(bytes));
}

// Has a model in use move layers off the card, at the end of its step; what was done.
std::optional<std::string> Fleet::give_way(const std::string& card, Time until) {
  if (auto unloaded = unload_idle(card, until)) return unloaded;
  std::vector<std::shared_ptr<Lease>> users;
  {
    const std::lock_guard lock(mutex_);
    for (const Ptr& entry : entries_) {
      if (!entry->resident || bytes_on(entry->resident->engine->devices(), card) == 0) continue;
      ++entry->users;
      users.push_back(std::make_shared<Lease>(*this, entry));
    }
  }
  for (const auto& user : users) {
    engine::Engine& engine = *(*user)->engine;
    const uint32_t before = engine.devices().layers_on_gpu();
    if (const Status moved = engine.give_back(0); !moved) continue;  // it is bound to its GPU, or lost
    const uint32_t after = engine.devices().layers_on_gpu();
    if (after < before) return fmt::format("moved {} layers of {} to the CPU", before - after, (*user)->found.name);
  }
  return std::nullopt;
}

Result<GpuLease> Fleet::yield(const YieldWish& wish) {
  if (wish.bytes == 0) return error(ErrorKind::kUsage, "bytes must be more than 0");
  const Time until = Clock::now() + wish.deadline;
  const std::vector<CardMemory> cards = card_memory();
  ASSIGN_OR_RETURN(const CardMemory card, choose_card(cards, wish.bytes, wish.gpu));
  GpuLease lease{.id = random_hex(16),
                 .card = card.id,
                 .card_name = card.name,
                 .holder = wish.holder,
                 .bytes = wish.bytes,
                 .locked = wish.locked,
                 .until = std::chrono::system_clock::now() +
                          std::chrono::duration_cast<std::chrono::system_clock::duration>(wish.hold)};
  {
    const std::lock_guard lock(mutex_);
    leases_.add(lease, Clock::now() + wish.hold);
    leases_.look(cards, held(), Clock::now());  // nothing grows into it from here on
  }
  changed_.notify_all();
  lease.free_bytes = card.free_bytes;
  std::string others;
  while (lease.free_bytes < wish.bytes && Clock::now() < until) {
    if (auto done = give_way(card.id, until))
      lease.how.push_back(std::move(*done));
    else
      std::this_thread::sleep_for(kPoll);
    if (const auto now = card_memory(card.ordinal)) {
      lease.free_bytes = now->free_bytes;
      others = now->others;
    }
  }
  if (lease.free_bytes < wish.bytes && !others.empty()) lease.how.push_back("the rest is held by " + others);
  lease.freed_bytes = lease.free_bytes - std::min(lease.free_bytes, card.free_bytes);
  const std::lock_guard lock(mutex_);
  GpuLease* kept = leases_.find(lease.id);
  if (kept == nullptr) return error(ErrorKind::kTimeout, "the lease has ended before there was room");
  *kept = lease;
  log_info("{} of {} are free for {} until the lease {} ends", size_text(lease.free_bytes), card.name,
           wish.holder.empty() ? "another program" : wish.holder, lease.id);
  return lease;
}

Result<GpuLease> Fleet::renew_lease(const std::string& id, std::chrono::nanoseconds hold) {
  const std::lock_guard lock(mutex_);
  const auto shown =
      std::chrono::system_clock::now() + std::chrono::duration_cast<std::chrono::system_clock::duration>(hold);
  if (!leases_.renew(id, shown, Clock::now() + hold))
    return error(ErrorKind::kNotFound, "there is no lease {}, or it has ended", id);
  return *leases_.find(id);
}

bool Fleet::end_lease(const std::string& id) {
  bool ended = false;
  {
    const std::lock_guard lock(mutex_);
    ended = leases_.end(id);
    leases_seen_ = {};  // so that the keeper looks at once
  }
  changed_.notify_all();
  return ended;
}

std::vector<GpuLease> Fleet::leases() const {
  const std::lock_guard lock(mutex_);
  return leases_.list();
}

}  // namespace hearth::fleet
