// A set of byte values.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace hearth::grammar {

struct ByteSet {
  std::array<uint64_t, 4> words{};

  static ByteSet range(uint8_t first, uint8_t last) {
    ByteSet set;
    for (unsigned byte = first; byte <= last; ++byte) set.add(static_cast<uint8_t>(byte));
    return set;
  }
  void add(uint8_t byte) { words[byte / 64] |= uint64_t{1} << (byte % 64); }
  bool has(uint8_t byte) const { return (words[byte / 64] >> (byte % 64) & 1) != 0; }
  bool has_all(uint8_t first, uint8_t last) const {
    for (unsigned byte = first; byte <= last; ++byte) {
      if (!has(static_cast<uint8_t>(byte))) return false;
    }
    return true;
  }
  bool empty() const { return (words[0] | words[1] | words[2] | words[3]) == 0; }
  int count() const {
    int sum = 0;
    for (const uint64_t word : words) sum += std::popcount(word);
    return sum;
  }
  bool meets(const ByteSet& other) const {
    for (size_t i = 0; i < 4; ++i) {
      if ((words[i] & other.words[i]) != 0) return true;
    }
    return false;
  }
  ByteSet& operator|=(const ByteSet& other) {
    for (size_t i = 0; i < 4; ++i) words[i] |= other.words[i];
    return *this;
  }
  ByteSet& operator&=(const ByteSet& other) {
    for (size_t i = 0; i < 4; ++i) words[i] &= other.words[i];
    return *this;
  }
  ByteSet complement() const {
    ByteSet set;
    for (size_t i = 0; i < 4; ++i) set.words[i] = ~words[i];
    return set;
  }
  bool operator==(const ByteSet&) const = default;
  auto operator<=>(const ByteSet&) const = default;
};

}  // namespace hearth::grammar
