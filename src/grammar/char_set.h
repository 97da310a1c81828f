// Sets of Unicode characters, and how they are written in bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "grammar/regexes.h"

namespace hearth::grammar {

inline constexpr uint32_t kLast_char = 0x10FFFF;

class CharSet {
 public:
  using Range = std::pair<uint32_t, uint32_t>;  // first and last

  CharSet() = default;
  CharSet(std::initializer_list<Range> ranges) : CharSet(std::vector(ranges)) {}
  explicit CharSet(std::vector<Range> ranges);
  static CharSet any() { return {{0, kLast_char}}; }

  void add(uint32_t first, uint32_t last);
  void add(const CharSet& other);
  CharSet complement() const;
  CharSet operator&(const CharSet& other) const;
  bool has(uint32_t code) const;
  bool empty() const { return ranges_.empty(); }
  const std::vector<Range>& ranges() const { return ranges_; }  // sorted, with gaps between them
  bool operator==(const CharSet&) const = default;

 private:
  void normalise();
  std::vector<Range> ranges_;
};

// One character of the set as UTF-8 (RFC 3629; surrogates have no form).
RegexId utf8_char(Regexes& regexes, const CharSet& set);
// One character of the set inside a JSON string, in its only form here: itself, but for those that must be escaped;
// these by the short escape, or \u00 and lower-case digits. One form for each makes intersections and complements of
// texts those of their characters.
RegexId json_char(Regexes& regexes, const CharSet& set);
// One of any characters in any of its usual forms: also \u and four digits, \/ and surrogate pairs.
RegexId json_char_freely(Regexes& regexes);
// A text (UTF-8) as the inside of a JSON string, in that form.
std::string json_escaped(std::string_view text);

}  // namespace hearth::grammar
