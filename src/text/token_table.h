// From the bytes of a text to a token, for vocabularies of hundreds of thousands of texts: one flat
// array, open addressing. The texts stay where they are and must outlive the table.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace hearth::text {

// Mixes 64 bits by multiplication and folding (the idea of wyhash, https://github.com/wangyi-fudan/wyhash).
inline uint64_t mix(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

inline uint64_t hash_bytes(std::string_view text) {
  constexpr uint64_t kOdd1 = 0x9E3779B97F4A7C15, kOdd2 = 0xD6E8FEB86659FD93;
  const auto load = [](const char* p, size_t n) {
    uint64_t value = 0;
    std::memcpy(&value, p, n);
    return value;
  };
  const char* p = text.data();
  size_t n = text.size();
  uint64_t hash = n * kOdd1;
  for (; n > 8; p += 8, n -= 8) hash = mix(hash ^ load(p, 8), kOdd2);
  uint64_t tail = 0;
  if (n == 8) {
    tail = load(p, 8);
  } else if (n >= 4) {
    tail = load(p, 4) << 32 | load(p + n - 4, 4);
  } else if (n > 0) {
    tail = static_cast<uint64_t>(static_cast<uint8_t>(p[0])) << 16 |
           static_cast<uint64_t>(static_cast<uint8_t>(p[n / 2])) << 8 | static_cast<uint8_t>(p[n - 1]);
  }
  return mix(hash ^ tail, kOdd1);
}

class TokenTable {
 public:
  // Room for at most `count` texts.
  explicit TokenTable(size_t count = 0);

  // Keeps the first token of a text that comes twice.
  void insert(std::string_view text, Token token);
  Token find(std::string_view text) const { return find(text, hash_bytes(text)); }
  Token find(std::string_view text, uint64_t hash) const {
    for (size_t i = hash & mask_;; i = (i + 1) & mask_) {
      const Slot& slot = slots_[i];
      if (slot.entry == kEmpty) return kNoToken;
      if (slot.tag == tag_of(hash) && entries_[slot.entry].text == text) return entries_[slot.entry].token;
    }
  }
  // Asks the processor to load what find() with this hash will read first.
  void prefetch(uint64_t hash) const { __builtin_prefetch(&slots_[hash & mask_]); }

 private:
  static constexpr uint32_t kEmpty = 0xFFFFFFFF;
  struct Slot {
    uint32_t tag = 0;
    uint32_t entry = kEmpty;
  };
  struct Entry {
    std::string_view text;
    Token token;
  };
  static uint32_t tag_of(uint64_t hash) { return static_cast<uint32_t>(hash >> 32); }

  std::vector<Slot> slots_;  // a power of two, never full
  std::vector<Entry> entries_;
  size_t mask_ = 0;
};

}  // namespace hearth::text
