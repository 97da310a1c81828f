// Numbers in bytes of a file: little-endian, as this program's processors are, and at any address.
#pragma once

#include <cstring>

namespace hearth {

template <class T>
inline T load(const void* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

}  // namespace hearth
