// The merges of byte pair encoding: from two neighbouring tokens to what they become and how early.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "text/merge.h"
#include "text/token_table.h"

namespace hearth::text {

class MergeTable {
 public:
  // Room for at most `count` merges.
  explicit MergeTable(size_t count = 0) : slots_(std::bit_ceil(count + count / 3 + 1)), mask_(slots_.size() - 1) {}

  // Keeps the first merge of a pair that comes twice. No token may be kNoToken.
  void insert(Token left, Token right, uint32_t rank, Token joined) {
    Slot& slot = slots_[index_of(pair_of(left, right))];
    if (slot.key == kEmpty) slot = {pair_of(left, right), rank, joined};
  }
  // Asks the processor to load what insert() and find() of this pair will read.
  void prefetch(Token left, Token right) const { __builtin_prefetch(&slots_[first_index(pair_of(left, right))], 1); }
  Join find(Token left, Token right) const {
    const Slot& slot = slots_[index_of(pair_of(left, right))];
    if (slot.key == kEmpty) return {};
    return {slot.rank, slot.joined, true};
  }

 private:
  static constexpr uint64_t kEmpty = ~uint64_t{0};
  struct Slot {
    uint64_t key = kEmpty;
    uint32_t rank = 0;
    Token joined = kNoToken;
  };
  static uint64_t pair_of(Token left, Token right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  size_t first_index(uint64_t key) const { return mix(key, 0x9E3779B97F4A7C15) & mask_; }
  // Where the key is, or would be.
  size_t index_of(uint64_t key) const {
    size_t i = first_index(key);
    while (slots_[i].key != key && slots_[i].key != kEmpty) i = (i + 1) & mask_;
    return i;
  }

  std::vector<Slot> slots_;  // a power of two, never full
  size_t mask_;
};

}  // namespace hearth::text
