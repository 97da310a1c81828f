// What string methods need to know about code points. Texts are valid UTF-8. Data: utf8proc (Unicode Character
// Database).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace hearth::templates::unicode {

bool valid(std::string_view text);
size_t count(std::string_view text);
// Bytes of the character that begins with `lead`.
inline size_t width(char lead) {
  const auto byte = static_cast<uint8_t>(lead);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}
inline bool continues(char byte) {
  return (static_cast<uint8_t>(byte) & 0xC0) == 0x80;
}
// The byte at which character `index` begins, or text.size().
size_t offset(std::string_view text, size_t index);
// The code point that begins at `text`, which is not empty.
uint32_t decode(std::string_view text);
void append(uint32_t code, std::string* out);

bool is_space(uint32_t code);  // as Python's str.isspace()
bool is_alpha(uint32_t code);
bool is_decimal(uint32_t code);
bool is_digit(uint32_t code);   // decimal, or a superscript and the like
bool is_number(uint32_t code);  // any numeric category
bool is_upper(uint32_t code);
bool is_lower(uint32_t code);
bool is_cased(uint32_t code);
bool is_word(uint32_t code);  // \w
bool is_printable(uint32_t code);

// Full mappings: one code point may become several ("ß" is "SS").
void append_upper(uint32_t code, std::string* out);
void append_title(uint32_t code, std::string* out);
void append_lower(uint32_t code, std::string* out);
std::string case_folded(std::string_view text);

// The text without white space at its ends.
std::string_view strip_left(std::string_view text);
std::string_view strip_right(std::string_view text);
inline std::string_view strip(std::string_view text) {
  return strip_left(strip_right(text));
}

}  // namespace hearth::templates::unicode
