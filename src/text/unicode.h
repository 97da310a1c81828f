// What the pre-tokenizers need to know about a code point: its general category and a few sets, as a
// bit mask. Data: the Unicode Character Database (through utf8proc) and PropList.txt (White_Space).
#pragma once

#include <cstdint>
#include <string>

namespace hearth::text {

using CharFlags = uint16_t;
inline constexpr CharFlags kUpper = 1 << 0;         // \p{Lu}
inline constexpr CharFlags kLower = 1 << 1;         // \p{Ll}
inline constexpr CharFlags kTitle = 1 << 2;         // \p{Lt}
inline constexpr CharFlags kModifier = 1 << 3;      // \p{Lm}
inline constexpr CharFlags kOtherLetter = 1 << 4;   // \p{Lo}
inline constexpr CharFlags kMark = 1 << 5;          // \p{M}
inline constexpr CharFlags kNumber = 1 << 6;        // \p{N}
inline constexpr CharFlags kDecimal = 1 << 7;       // \p{Nd}, also \d
inline constexpr CharFlags kPunctuation = 1 << 8;   // \p{P}
inline constexpr CharFlags kSymbol = 1 << 9;        // \p{S}
inline constexpr CharFlags kSpace = 1 << 10;        // \s
inline constexpr CharFlags kNewline = 1 << 11;      // [\r\n]
inline constexpr CharFlags kControlChar = 1 << 12;  // \p{Cc}, \p{Cf}, \p{Co}, \p{Cs}
inline constexpr CharFlags kHan = 1 << 13;          // \p{Han}
inline constexpr CharFlags kAnyChar = 1 << 14;      // every code point; the end of a text has no flags
inline constexpr CharFlags kBlank = 1 << 15;        // U+0020
inline constexpr CharFlags kLetter = kUpper | kLower | kTitle | kModifier | kOtherLetter;

// Flags of the code points below 65536, by code point.
const CharFlags* char_flags_table();
CharFlags char_flags(uint32_t code);

uint32_t to_lower(uint32_t code);
// Appends the canonical decomposition (NFD) of `code`, without its combining marks (\p{Mn}).
void append_without_accents(uint32_t code, std::u32string* out);

}  // namespace hearth::text
