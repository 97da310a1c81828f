#include "sim/exec/races.h"

#include <algorithm>

namespace hearth::sim::exec {

Races::Races(std::uint32_t threads, std::uint32_t shared_bytes)
    : threads_(threads), counts_(threads, 1), seen_(threads), bytes_(shared_bytes) {}

void Races::start_block() {
  join_all();
}

bool Races::ordered(const Record& record, std::uint32_t thread) const {
  if (record.epoch != epoch_ || record.event.thread == thread) return true;
  const Clock& seen = seen_[thread];
  return !seen.empty() && seen[record.event.thread] >= record.count;
}

std::optional<Races::Conflict> Races::read(std::uint32_t offset, const Event& event) {
  Byte& byte = bytes_[offset];
  if (!ordered(byte.write, event.thread) && !(event.atomic && byte.write.event.atomic)) {
    return Conflict{byte.write.event, true};
  }
  // A read that is ordered before this one need not be kept: what races with it races with this one as well. More
  // than four readers at once: one is forgotten.
  Record* place = &byte.reads[event.thread % 4];
  for (Record& read : byte.reads) {
    if (ordered(read, event.thread)) {
      place = &read;
      break;
    }
  }
  *place = record(event);
  return std::nullopt;
}

std::optional<Races::Conflict> Races::write(std::uint32_t offset, const Event& event, bool same_value) {
  Byte& byte = bytes_[offset];
  const Record& last = byte.write;
  const bool together = last.epoch == epoch_ && last.event.serial == event.serial && same_value;
  if (!ordered(last, event.thread) && !together && !(event.atomic && last.event.atomic)) {
    return Conflict{last.event, true};
  }
  for (const Record& read : byte.reads) {
    if (!ordered(read, event.thread) && !(event.atomic && read.event.atomic)) return Conflict{read.event, false};
  }
  byte.write = record(event);
  return std::nullopt;
}

void Races::join_all() {
  ++epoch_;
  for (Clock& clock : seen_) clock.clear();
  objects_.clear();
}

void Races::merge(Clock& into, const Clock& from) {
  if (from.empty()) return;
  if (into.empty()) {
    into = from;
    return;
  }
  for (std::size_t i = 0; i < into.size(); ++i) into[i] = std::max(into[i], from[i]);
}

void Races::advance(Clock& clock, std::uint32_t thread) const {
  merge(clock, seen_[thread]);
  if (clock.empty()) clock.resize(threads_);
  clock[thread] = std::max(clock[thread], counts_[thread]);
}

void Races::join(std::span<const std::uint32_t> arrived, std::span<const std::uint32_t> waiting) {
  Clock all;
  for (const std::uint32_t thread : arrived) advance(all, thread);
  for (const std::uint32_t thread : waiting) seen_[thread] = all;
  for (const std::uint32_t thread : arrived) ++counts_[thread];
}

void Races::release(std::uint32_t object, std::uint32_t thread) {
  advance(objects_[object], thread);
  ++counts_[thread];
}

void Races::acquire(std::uint32_t object, std::uint32_t thread) {
  const auto found = objects_.find(object);
  if (found != objects_.end()) merge(seen_[thread], found->second);
}

}  // namespace hearth::sim::exec
