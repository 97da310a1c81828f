// One code point of UTF-8 at a time; strict (no overlong forms, surrogates or values past U+10FFFF).
// Format: RFC 3629. What counts as one invalid part: Unicode 15, section 3.9, "maximal subpart".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace hearth::text {

inline constexpr uint32_t kReplacement = 0xFFFD;
inline constexpr std::string_view kReplacementUtf8 = "\xEF\xBF\xBD";

enum class Utf8Status : uint8_t {
  kValid,
  kInvalid,     // `bytes` bytes that no continuation could make valid
  kIncomplete,  // the text ends inside a sequence that is valid so far
};

struct Utf8Char {
  uint32_t code;  // kReplacement unless valid
  uint8_t bytes;  // at least 1
  Utf8Status status;
};

// `text` must not be empty.
inline Utf8Char decode_utf8(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return {lead, 1, Utf8Status::kValid};
  if (lead < 0xC2 || lead > 0xF4) return {kReplacement, 1, Utf8Status::kInvalid};
  const uint8_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  // The second byte's range excludes overlong forms, surrogates and values past U+10FFFF.
  const uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  uint32_t code = lead & (0x7Fu >> length);
  for (uint8_t i = 1; i < length; ++i) {
    if (i >= text.size()) return {kReplacement, i, Utf8Status::kIncomplete};
    const uint8_t next = byte(i);
    if (next < (i == 1 ? low : 0x80) || next > (i == 1 ? high : 0xBF)) return {kReplacement, i, Utf8Status::kInvalid};
    code = code << 6 | (next & 0x3Fu);
  }
  return {code, length, Utf8Status::kValid};
}

// `code` must be a valid code point.
inline void append_utf8(uint32_t code, std::string* out) {
  const auto put = [&](uint32_t byte) { out->push_back(static_cast<char>(byte)); };
  if (code < 0x80) return put(code);
  if (code < 0x800) {
    put(0xC0 | code >> 6);
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F));
  }
  put(0x80 | (code & 0x3F));
}

}  // namespace hearth::text
