#include "base/random.h"

#include <sys/random.h>

#include <string_view>

#include "base/check.h"

namespace hearth {
namespace {

void fill(void* bytes, size_t count) {
  CHECK(::getrandom(bytes, count, 0) == static_cast<ssize_t>(count));  // never less, up to 256
}

// Each of a power of two's values picks an element of `alphabet`; those that would favour some are drawn again.
std::string random_text(size_t length, std::string_view alphabet) {
  std::string text;
  while (text.size() < length) {
    unsigned char bytes[64];
    fill(bytes, sizeof bytes);
    for (const unsigned char byte : bytes) {
      const size_t index = byte & 63u;
      if (index % 64 < 64 / alphabet.size() * alphabet.size() && text.size() < length)
        text += alphabet[index % alphabet.size()];
    }
  }
  return text;
}

}  // namespace

uint64_t random_bits() {
  uint64_t bits = 0;
  fill(&bits, sizeof bits);
  return bits;
}

std::string random_hex(size_t digits) {
  return random_text(digits, "0123456789abcdef");
}

std::string random_letters(size_t length) {
  return random_text(length, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");
}

}  // namespace hearth
