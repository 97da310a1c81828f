// The part of Fleet that is about contexts: who needs which, and how a loaded model gets a larger one.
#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "fleet/fleet.h"

namespace hearth::fleet {
namespace {

using Clock = std::chrono::steady_clock;

// Between two attempts at a context that was too large.
constexpr std::chrono::minutes kTry_again{5};

}  // namespace

// What requests of this model have without a wish of their own is what it would be loaded with.
uint32_t Fleet::wanted_context(const store::ModelFiles& found, const LoadWish& wish) const {
  if (wish.context) return *wish.context;
  if (const LoadWish* kept = kept_wish(found.name); kept != nullptr && kept->context) return *kept->context;
  if (options_.model.context != 0) return options_.model.context;
  const uint32_t own = context_parameter(found.parameters);
  return own != 0 ? own : kDefaultContext_tokens;
}

uint32_t Fleet::within_training(const Resident& resident, uint32_t context) {
  return resident.spec.context > 0 ? std::min(context, resident.spec.context) : context;
}

// Whether requests can be answered by what is loaded, or about to be.
bool Fleet::fits(const Entry& entry, const store::ModelFiles& found, const LoadWish& wish) const {
  if (!store::same_apart_from_name(entry.found, found) || other_cache(entry, wish)) return false;
  if (entry.wish.settled && !wish.context) return true;
  const uint32_t wanted = wanted_context(found, wish);
  if (!entry.resident) return wanted_context(entry.found, entry.wish) >= wanted;
  if (entry.resident->context_tokens >= within_training(*entry.resident, wanted)) return true;
  // What memory had no room for is not tried again and again: who has no wish is content.
  return entry.too_large && wanted >= entry.too_large->context && Clock::now() < entry.too_large->again;
}

// A type of cache is wished for that it does not have.
bool Fleet::other_cache(const Entry& entry, const LoadWish& wish) const {
  return wish.kv_type && *wish.kv_type != entry.wish.kv_type.value_or(options_.model.kv_type);
}

bool Fleet::can_grow(const Entry& entry, const store::ModelFiles& found) {
  return (entry.resident || entry.loading) && entry.grows && store::same_apart_from_name(entry.found, found);
}

// What one who waits needs of what is loaded.
uint32_t Fleet::needed_context(const Entry& entry, const Waiting& one) const {
  if (!one.context && (entry.too_large || entry.wish.settled)) return 0;
  return within_training(*entry.resident, wanted_context(entry.found, {.context = one.context}));
}

Fleet::Ptr Fleet::next_to_grow() const {
  for (const Ptr& entry : entries_)
    if (entry->resident && entry->grows_to > 0) return entry;
  return nullptr;
}

// Also while room is waited for: who waits for a larger context keeps a model from going.
bool Fleet::grow_one(std::unique_lock<std::mutex>& lock) {
  const Ptr entry = next_to_grow();
  if (entry) grow(lock, entry);
  return entry != nullptr;
}

// Where there is no room beside what runs, a new load finds what it can do without.
void Fleet::grow(std::unique_lock<std::mutex>& lock, const Ptr& entry) {
  const uint32_t context = entry->grows_to;
  ++entry->users;
  lock.unlock();
  const Status grown = entry->resident->grow(context);
  lock.lock();
  --entry->users;
  if (grown) {
    entry->too_large.reset();
    log_info("{} has a context of {} tokens now, without a new load", entry->found.name, context);
    return hand_over(lock, entry);
  }
  log_info("{} is loaded again for a context of {} tokens: {}", entry->found.name, context, grown.error().message);
  entry->grows = false;
  entry->grows_to = 0;
  const store::ModelFiles found = entry->found;
  std::vector<Waiting> waiting = std::exchange(entry->waiting, {});
  LoadWish wish = entry->wish;  // as it was loaded, but for the context
  lock.unlock();
  for (Waiting& one : waiting) {
    wish.context = one.context;
    use(found, wish, {}, std::move(one.take));
  }
  lock.lock();
}

// Whether `entry`, which memory has no room for, is to be loaded with the context that its model had before.
bool Fleet::go_back(std::unique_lock<std::mutex>& lock, Entry& entry, const Error& problem) {
  if (ends_ || entry.context_before == 0) return false;
  const uint32_t larger = wanted_context(entry.found, entry.wish);
  Error refusal = problem;
  refusal.message = fmt::format("a context of {} tokens is too large here: {}", larger, problem.message);
  log_warn("{} keeps its context of {} tokens: {}", entry.found.name, entry.context_before, refusal.message);
  entry.too_large = {larger, refusal, Clock::now() + kTry_again};
  entry.wish.context = std::exchange(entry.context_before, 0);
  std::vector<Waiting> refused;
  std::erase_if(entry.waiting, [&](Waiting& one) {
    if (one.context.value_or(0) <= *entry.wish.context) return false;
    refused.push_back(std::move(one));
    return true;
  });
  refuse(lock, std::move(refused), refusal);
  return true;
}

}  // namespace hearth::fleet
