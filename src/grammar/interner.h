// Gives equal values one number: open addressing over numbers of values that live elsewhere.
#pragma once

#include <cstdint>
#include <vector>

namespace hearth::grammar {

inline uint64_t mix_hash(uint64_t hash, uint64_t value) {
  hash ^= value + 0x9E3779B97F4A7C15 + (hash << 6) + (hash >> 2);
  hash *= 0xD6E8FEB86659FD93;
  return hash ^ (hash >> 32);
}

class Interner {
 public:
  static constexpr uint32_t kNone = ~uint32_t{0};

  // The number of the value with this hash for which `equal(number)` holds, or kNone.
  template <class Equal>
  uint32_t find(uint64_t hash, const Equal& equal) const {
    if (slots_.empty()) return kNone;
    for (size_t i = hash & (slots_.size() - 1);; i = (i + 1) & (slots_.size() - 1)) {
      const Slot& slot = slots_[i];
      if (slot.number == kNone) return kNone;
      if (slot.tag == static_cast<uint32_t>(hash >> 32) && equal(slot.number)) return slot.number;
    }
  }
  // `number` must not be in it yet.
  void insert(uint64_t hash, uint32_t number) {
    if (hashes_.size() * 2 >= slots_.size()) grow();
    hashes_.push_back({hash, number});
    place(hash, number);
  }
  size_t bytes() const { return slots_.size() * sizeof(Slot) + hashes_.capacity() * sizeof(Entry); }

 private:
  struct Slot {
    uint32_t tag = 0, number = kNone;
  };
  struct Entry {
    uint64_t hash;
    uint32_t number;
  };
  void place(uint64_t hash, uint32_t number) {
    size_t i = hash & (slots_.size() - 1);
    while (slots_[i].number != kNone) i = (i + 1) & (slots_.size() - 1);
    slots_[i] = {static_cast<uint32_t>(hash >> 32), number};
  }
  void grow() {
    slots_.assign(slots_.empty() ? 64 : slots_.size() * 2, {});
    for (const Entry& entry : hashes_) place(entry.hash, entry.number);
  }

  std::vector<Slot> slots_;  // a power of two, at most half full
  std::vector<Entry> hashes_;
};

}  // namespace hearth::grammar
