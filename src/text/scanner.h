// The parts that pre-tokenizers are made of. Models state theirs as regular expressions; here each
// becomes a composition of templates that reads like the expression and compiles to a loop:
//
//   [^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}    is    search<prefixed<not_in<kNewline | kLetter | kNumber>,
//                                                               in<kLetter>>, up_to<3, in<kNumber>>>
//
// A class says whether a character belongs. An alternative gives the end of its match that begins at a
// position, 0 for none. A scanner finds the next match from a position on. All are linear in the text,
// with one exception: an alternative may look as far ahead as the run of characters it stands in.
#pragma once

#include <cstdint>
#include <string_view>

#include "text/unicode.h"
#include "text/utf8.h"

namespace hearth::text {

struct Char {
  uint32_t code = 0;
  CharFlags flags = 0;  // none at the end of the text
  uint8_t bytes = 0;
};

class CharReader {
 public:
  explicit CharReader(std::string_view text) : text_(text), table_(char_flags_table()) {}

  size_t size() const { return text_.size(); }
  Char at(size_t position) const {
    if (position >= text_.size()) return {};
    const auto byte = static_cast<uint8_t>(text_[position]);
    if (byte < 0x80) return {byte, table_[byte], 1};
    const Utf8Char c = decode_utf8(text_.substr(position));
    return {c.code, c.code < 0x10000 ? table_[c.code] : char_flags(c.code), c.bytes};
  }

 private:
  std::string_view text_;
  const CharFlags* table_;
};

using Class = bool (*)(Char);
using Alternative = size_t (*)(const CharReader&, size_t);
struct Range {
  size_t begin, end;  // both the text's size if nothing was found
};
using Scanner = Range (*)(const CharReader&, size_t);

// Classes.

template <CharFlags kFlags>
bool in(Char c) {
  return (c.flags & kFlags) != 0;
}
template <CharFlags kFlags>
bool not_in(Char c) {
  return c.flags != 0 && (c.flags & kFlags) == 0;
}
template <uint32_t kCode>
bool is(Char c) {
  return c.code == kCode && c.flags != 0;
}
template <uint32_t kFirst, uint32_t kLast>
bool between(Char c) {
  return c.code >= kFirst && c.code <= kLast && c.flags != 0;
}
template <Class... kClasses>
bool any(Char c) {
  return (kClasses(c) || ...);
}
template <Class... kClasses>
bool none(Char c) {
  return c.flags != 0 && !(kClasses(c) || ...);
}

// Alternatives.

template <Class kClass>
size_t skip(const CharReader& text, size_t at) {
  for (Char c = text.at(at); kClass(c); c = text.at(at)) at += c.bytes;
  return at;
}

// [c]
template <Class kClass>
size_t one(const CharReader& text, size_t at) {
  const Char c = text.at(at);
  return kClass(c) ? at + c.bytes : 0;
}

// [c]+
template <Class kClass>
size_t run(const CharReader& text, size_t at) {
  const size_t end = skip<kClass>(text, at);
  return end > at ? end : 0;
}

// [c]{1,n}
template <int kMost, Class kClass>
size_t up_to(const CharReader& text, size_t at) {
  size_t end = at;
  for (int i = 0; i < kMost; ++i) {
    const Char c = text.at(end);
    if (!kClass(c)) break;
    end += c.bytes;
  }
  return end > at ? end : 0;
}

// [p]?[c]+
template <Class kPrefix, Class kClass>
size_t prefixed(const CharReader& text, size_t at) {
  const Char first = text.at(at);
  if (kPrefix(first))
    if (const size_t end = run<kClass>(text, at + first.bytes)) return end;
  return kClass(first) ? skip<kClass>(text, at) : 0;
}

// (alternative)[tail]*
template <Alternative kAlternative, Class kTail>
size_t tailed(const CharReader& text, size_t at) {
  const size_t end = kAlternative(text, at);
  return end != 0 ? skip<kTail>(text, end) : 0;
}

// (alternative)(more)?
template <Alternative kAlternative, Alternative kMore>
size_t maybe(const CharReader& text, size_t at) {
  const size_t end = kAlternative(text, at);
  if (end == 0) return 0;
  const size_t further = kMore(text, end);
  return further != 0 ? further : end;
}

// The end of [upper]*[lower]+, where a character may be both; if there is none and `kOnlyUpper`, of
// [upper]+; else 0.
template <Class kUpperCase, Class kLowerCase, bool kOnlyUpper>
size_t cased_run(const CharReader& text, size_t at) {
  size_t end = at, last_lower = 0;
  for (Char c = text.at(end);; c = text.at(end)) {
    if (!kUpperCase(c)) break;
    end += c.bytes;
    if (kLowerCase(c)) last_lower = end;
  }
  if (const size_t lower = run<kLowerCase>(text, end)) return lower;
  if (last_lower != 0) return last_lower;
  return kOnlyUpper && end > at ? end : 0;
}

// [p]?[upper]*[lower]+|[p]?[upper]+[lower]*
template <Class kPrefix, Class kUpperCase, Class kLowerCase>
size_t cased(const CharReader& text, size_t at) {
  const Char first = text.at(at);
  const size_t behind = kPrefix(first) ? at + first.bytes : 0;
  size_t end = behind != 0 ? cased_run<kUpperCase, kLowerCase, false>(text, behind) : 0;
  if (end == 0) end = cased_run<kUpperCase, kLowerCase, false>(text, at);
  if (end == 0 && behind != 0) end = run<kUpperCase>(text, behind);
  return end != 0 ? end : run<kUpperCase>(text, at);
}

// 's|'t|'re|'ve|'m|'ll|'d, in any case if so wanted
template <bool kAnyCase>
size_t contraction(const CharReader& text, size_t at) {
  if (text.at(at).code != '\'') return 0;
  const auto letter = [&](size_t i) {
    const uint32_t code = text.at(i).code;
    return kAnyCase && code >= 'A' && code <= 'Z' ? code + 32 : code;
  };
  const uint32_t a = letter(at + 1);
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return at + 2;
  if (a != 'r' && a != 'v' && a != 'l') return 0;
  const uint32_t b = letter(at + 2);
  return b == (a == 'l' ? 'l' : 'e') ? at + 3 : 0;
}

// \s*[\r\n]+
size_t newlines(const CharReader& text, size_t at);
// \s+(?!\S)|\s+
size_t spaces(const CharReader& text, size_t at);

// Scanners.

// The alternatives in order, at each position in turn.
template <Alternative... kAlternatives>
Range search(const CharReader& text, size_t from) {
  for (size_t at = from; at < text.size(); at += text.at(at).bytes) {
    size_t end = 0;
    (void)((end = kAlternatives(text, at), end != 0) || ...);
    if (end != 0) return {at, end};
  }
  return {text.size(), text.size()};
}

// \s+$
Range trailing_spaces(const CharReader& text, size_t from);
// For a text that is one run of digits (others have no match): groups of three, counted from the end.
template <Class kDigit>
Range groups_of_three(const CharReader& text, size_t from) {
  if (!kDigit(text.at(from))) return {text.size(), text.size()};
  size_t wanted = 3;
  if (from == 0) {  // the first group takes what does not fill three
    size_t digits = 0;
    for (size_t at = 0; at < text.size(); at += text.at(at).bytes) ++digits;
    if (digits % 3 != 0) wanted = digits % 3;
  }
  size_t end = from;
  for (; wanted > 0 && end < text.size(); --wanted) end += text.at(end).bytes;
  return {from, end};
}

}  // namespace hearth::text
