// A digest for equality with what was noted down, not against an adversary.
#pragma once

#include <cstdint>
#include <string_view>

namespace hearth {

// FNV-1a, 64 bits: https://datatracker.ietf.org/doc/draft-eastlake-fnv/
inline uint64_t fnv1a(std::string_view bytes) {
  uint64_t value = 0xcbf29ce484222325;
  for (const char byte : bytes) value = (value ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  return value;
}

}  // namespace hearth
