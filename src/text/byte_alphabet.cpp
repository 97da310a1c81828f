#include "text/byte_alphabet.h"

#include <array>
#include <cstdint>

#include "text/utf8.h"

namespace hearth::text {
namespace {

constexpr bool stands_for_itself(uint32_t byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

constexpr size_t kCharacters = 256 + 68;  // 68 bytes do not stand for themselves
constexpr int16_t kNotInAlphabet = -1;

constexpr std::array<int16_t, kCharacters> make_bytes() {
  std::array<int16_t, kCharacters> bytes{};
  size_t next = 256;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    bytes[byte] = stands_for_itself(byte) ? static_cast<int16_t>(byte) : kNotInAlphabet;
    if (!stands_for_itself(byte)) bytes[next++] = static_cast<int16_t>(byte);
  }
  return bytes;
}

constexpr auto kBytes = make_bytes();

}  // namespace

void append_byte_alphabet(std::string_view text, std::string* out) {
  while (!text.empty()) {
    const Utf8Char next = decode_utf8(text);
    if (next.code < kCharacters && kBytes[next.code] != kNotInAlphabet) {
      out->push_back(static_cast<char>(kBytes[next.code]));
    } else {
      out->append(text.substr(0, next.bytes));
    }
    text.remove_prefix(next.bytes);
  }
}

}  // namespace hearth::text
