#include "engine/card_book.h"

#include <algorithm>
#include <tuple>

namespace hearth::engine {

CardBook::Id CardBook::join() {
  const std::lock_guard lock(mutex_);
  entries_[++last_id_] = {};
  return last_id_;
}

void CardBook::leave(Id id) {
  end(id);
  const std::lock_guard lock(mutex_);
  entries_.erase(id);
}

void CardBook::look(Id id, std::map<std::string, uint64_t> bytes, int64_t computed_ns, int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_.at(id);
  entry.bytes = std::move(bytes);
  entry.computed_ns = computed_ns;
  entry.looked_ms = now_ms;
}

bool CardBook::gives_first(Id id, const std::string& card, int64_t now_ms) const {
  const std::lock_guard lock(mutex_);
  const auto idle_for_longer = [&](const auto& item) {
    const auto& [other, entry] = item;
    const auto held = entry.bytes.find(card);
    if (other == id || held == entry.bytes.end() || held->second == 0) return false;
    if (!awake(entry, now_ms) || now_ms < entry.cannot_until_ms) return false;
    return std::tuple(entry.computed_ns, other) < std::tuple(entries_.at(id).computed_ns, id);
  };
  return std::ranges::none_of(entries_, idle_for_longer);
}

void CardBook::gave_way(const Cards& cards, int64_t now_ms, int64_t hold_ms) {
  const std::lock_guard lock(mutex_);
  for (const std::string& card : cards) held_until_ms_[card] = std::max(held_until_ms_[card], now_ms + hold_ms);
}

void CardBook::cannot_give(Id id, int64_t until_ms) {
  const std::lock_guard lock(mutex_);
  entries_.at(id).cannot_until_ms = until_ms;
}

void CardBook::keep_free(const std::string& card, uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  if (bytes > 0)
    kept_bytes_[card] = bytes;
  else
    kept_bytes_.erase(card);
}

uint64_t CardBook::kept_free(const std::string& card) const {
  const std::lock_guard lock(mutex_);
  const auto found = kept_bytes_.find(card);
  return found == kept_bytes_.end() ? 0 : found->second;
}

bool CardBook::begin_growth(Id id, const Cards& cards, int64_t now_ms, bool made_free) {
  const std::lock_guard lock(mutex_);
  Entry& own = entries_.at(id);
  own.wanted = cards;
  own.wanted_ms = now_ms;
  if (mover_ != 0) return false;
  for (const std::string& card : cards) {
    const auto held = held_until_ms_.find(card);
    if (!made_free && held != held_until_ms_.end() && now_ms < held->second) return false;
  }
  const auto goes_first = [&](const auto& item) {
    const auto& [other, entry] = item;
    if (other == id || !awake(entry, now_ms) || now_ms - entry.wanted_ms > kAsleep_ms) return false;
    if (std::ranges::none_of(entry.wanted, [&](const auto& card) { return cards.contains(card); })) return false;
    return std::tuple(entry.computed_ns, other) > std::tuple(own.computed_ns, id);
  };
  if (!made_free && std::ranges::any_of(entries_, goes_first)) return false;
  own.wanted_ms = INT64_MIN / 2;
  mover_ = id;
  return true;
}

void CardBook::begin_load(Id id) {
  std::unique_lock lock(mutex_);
  ended_.wait(lock, [&] { return mover_ == 0 || mover_ == id; });
  mover_ = id;
}

void CardBook::end(Id id) {
  {
    const std::lock_guard lock(mutex_);
    if (mover_ != id) return;
    mover_ = 0;
  }
  ended_.notify_all();
}

}  // namespace hearth::engine
