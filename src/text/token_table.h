// From bytes to the token that stands for them, for vocabularies of hundreds of thousands of tokens: one
// flat array, open addressing; texts of up to 8 bytes are compared without a second access to memory.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "text/vocabulary.h"

namespace hearth::text {

// Mixes 64 bits by multiplication and folding (the idea of wyhash, https://github.com/wangyi-fudan/wyhash).
inline uint64_t mix(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

// `head` tells texts of up to 8 bytes apart, given their length; of longer ones it is the first 8 bytes.
struct TextKey {
  uint64_t head, hash;
};

inline TextKey key_of(std::string_view text) {
  constexpr uint64_t kOdd1 = 0x9E3779B97F4A7C15, kOdd2 = 0xD6E8FEB86659FD93;
  const char* p = text.data();
  size_t n = text.size();
  const auto byte = [&](size_t i) { return static_cast<uint64_t>(static_cast<uint8_t>(p[i])); };
  const auto load4 = [&](size_t i) {
    uint32_t value;
    std::memcpy(&value, p + i, 4);
    return static_cast<uint64_t>(value);
  };
  const auto load8 = [&](size_t i) {
    uint64_t value;
    std::memcpy(&value, p + i, 8);
    return value;
  };
  uint64_t head = 0;
  if (n >= 8) {
    head = load8(0);
  } else if (n >= 4) {
    head = load4(0) << 32 | load4(n - 4);
  } else if (n > 0) {
    head = byte(0) << 16 | byte(n / 2) << 8 | byte(n - 1);
  }
  uint64_t hash = mix(head ^ (n * kOdd1), kOdd2);
  for (; n > 16; p += 8, n -= 8) hash = mix(hash ^ load8(8), kOdd2);
  if (n > 8) hash = mix(hash ^ load8(n - 8), kOdd2);
  return {head, hash};
}

class TokenTable {
 public:
  // Room for at most `count` tokens of the vocabulary, which must outlive the table.
  TokenTable(const Vocabulary& vocabulary, size_t count);

  // Keeps the first of two tokens with the same bytes.
  void insert(Token token);
  Token find(std::string_view text) const { return find(text, key_of(text)); }
  Token find(std::string_view text, TextKey key) const {
    for (size_t i = key.hash & mask_;; i = (i + 1) & mask_) {
      const Slot& slot = slots_[i];
      if (slot.token == kNoToken || holds(slot, text, key)) return slot.token;
    }
  }
  // Asks the processor to load what find() with this key will read.
  void prefetch(TextKey key) const { __builtin_prefetch(&slots_[key.hash & mask_]); }

 private:
  struct Slot {
    uint64_t head = 0;
    uint32_t bytes = 0;
    Token token = kNoToken;
  };
  bool holds(const Slot& slot, std::string_view text, TextKey key) const {
    return slot.head == key.head && slot.bytes == text.size() &&
           (text.size() <= 8 || vocabulary_->bytes(slot.token) == text);
  }

  const Vocabulary* vocabulary_;
  std::vector<Slot> slots_;  // a power of two, never full
  size_t mask_;
  size_t used_ = 0;
};

}  // namespace hearth::text
