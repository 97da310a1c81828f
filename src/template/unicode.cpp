#include "template/unicode.h"

#include <utf8proc.h>

#include <array>
#include <cstdlib>
#include <utility>

namespace hearth::templates::unicode {
namespace {

utf8proc_category_t category(uint32_t code) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code));
}

// Code points whose upper case is more than one: SpecialCasing.txt, the unconditional entries of Latin, Armenian and
// the ligatures. The second form is the title case.
struct Special {
  uint32_t code;
  std::string_view upper, title;
};
constexpr Special kSpecial[] = {{0xDF, "SS", "Ss"},
                                {0x149, "\u02BCN", "\u02BCN"},
                                {0x1F0, "J\u030C", "J\u030C"},
                                {0x587, "ԵՒ", "Եւ"},
                                {0x1E96, "H\u0331", "H\u0331"},
                                {0x1E97, "T\u0308", "T\u0308"},
                                {0x1E98, "W\u030A", "W\u030A"},
                                {0x1E99, "Y\u030A", "Y\u030A"},
                                {0x1E9A, "A\u02BE", "A\u02BE"},
                                {0xFB00, "FF", "Ff"},
                                {0xFB01, "FI", "Fi"},
                                {0xFB02, "FL", "Fl"},
                                {0xFB03, "FFI", "Ffi"},
                                {0xFB04, "FFL", "Ffl"},
                                {0xFB05, "ST", "St"},
                                {0xFB06, "ST", "St"}};

const Special* special(uint32_t code) {
  if (code < 0xDF) return nullptr;
  for (const Special& entry : kSpecial) {
    if (entry.code == code) return &entry;
  }
  return nullptr;
}

}  // namespace

bool valid(std::string_view text) {
  while (!text.empty()) {
    utf8proc_int32_t code;
    const auto size = static_cast<utf8proc_ssize_t>(text.size());
    const auto used = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), size, &code);
    if (used <= 0) return false;
    text.remove_prefix(static_cast<size_t>(used));
  }
  return true;
}

size_t count(std::string_view text) {
  size_t characters = 0;
  for (const char byte : text) characters += continues(byte) ? 0 : 1;
  return characters;
}

size_t offset(std::string_view text, size_t index) {
  size_t at = 0;
  while (index > 0 && at < text.size()) {
    at += width(text[at]);
    --index;
  }
  return std::min(at, text.size());
}

uint32_t decode(std::string_view text) {
  utf8proc_int32_t code = 0xFFFD;
  utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                   &code);
  return code < 0 ? 0xFFFD : static_cast<uint32_t>(code);
}

void append(uint32_t code, std::string* out) {
  utf8proc_uint8_t bytes[4];
  const auto size = utf8proc_encode_char(static_cast<utf8proc_int32_t>(code), bytes);
  out->append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
}

bool is_space(uint32_t code) {
  return (code >= 0x9 && code <= 0xD) || (code >= 0x1C && code <= 0x20) || code == 0x85 || code == 0xA0 ||
         code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 || code == 0x202F ||
         code == 0x205F || code == 0x3000;
}

bool is_alpha(uint32_t code) {
  return category(code) >= UTF8PROC_CATEGORY_LU && category(code) <= UTF8PROC_CATEGORY_LO;
}
bool is_decimal(uint32_t code) {
  return category(code) == UTF8PROC_CATEGORY_ND;
}
bool is_digit(uint32_t code) {
  return is_decimal(code) || code == 0xB2 || code == 0xB3 || code == 0xB9 || (code >= 0x2070 && code <= 0x2089) ||
         (code >= 0x2460 && code <= 0x2468);
}
bool is_number(uint32_t code) {
  return category(code) >= UTF8PROC_CATEGORY_ND && category(code) <= UTF8PROC_CATEGORY_NO;
}
bool is_upper(uint32_t code) {
  return category(code) == UTF8PROC_CATEGORY_LU;
}
bool is_lower(uint32_t code) {
  return category(code) == UTF8PROC_CATEGORY_LL || code == 0xAA || code == 0xBA;
}
bool is_cased(uint32_t code) {
  return is_upper(code) || is_lower(code) || category(code) == UTF8PROC_CATEGORY_LT;
}
bool is_word(uint32_t code) {
  return code == '_' || is_alpha(code) || is_number(code);
}

bool is_printable(uint32_t code) {
  switch (category(code)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return false;
    case UTF8PROC_CATEGORY_ZS:
      return code == ' ';
    default:
      return true;
  }
}

void append_upper(uint32_t code, std::string* out) {
  if (const Special* entry = special(code)) {
    out->append(entry->upper);
  } else {
    append(static_cast<uint32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(code))), out);
  }
}

void append_title(uint32_t code, std::string* out) {
  if (const Special* entry = special(code)) {
    out->append(entry->title);
  } else {
    append(static_cast<uint32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(code))), out);
  }
}

void append_lower(uint32_t code, std::string* out) {
  if (code == 0x130) {
    out->append("i\u0307");
  } else {
    append(static_cast<uint32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code))), out);
  }
}

std::string case_folded(std::string_view text) {
  utf8proc_uint8_t* folded = nullptr;
  const auto size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                 static_cast<utf8proc_ssize_t>(text.size()), &folded, UTF8PROC_CASEFOLD);
  std::string result(size > 0 ? reinterpret_cast<const char*>(folded) : "", size > 0 ? static_cast<size_t>(size) : 0);
  std::free(folded);
  return result;
}

std::string_view strip_left(std::string_view text) {
  while (!text.empty() && is_space(decode(text))) text.remove_prefix(std::min(width(text[0]), text.size()));
  return text;
}

std::string_view strip_right(std::string_view text) {
  while (!text.empty()) {
    size_t at = text.size() - 1;
    while (at > 0 && continues(text[at])) --at;
    if (!is_space(decode(text.substr(at)))) break;
    text = text.substr(0, at);
  }
  return text;
}

}  // namespace hearth::templates::unicode
