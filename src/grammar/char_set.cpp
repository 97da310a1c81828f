#include "grammar/char_set.h"

#include <algorithm>
#include <array>
#include <map>

#include "text/utf8.h"

namespace hearth::grammar {
namespace {

using Range = CharSet::Range;

// Splits a range of characters into ranges of bytes for each place ("Regular Expression Matching: UTF-8",
// https://swtch.com/~rsc/regexp/regexp3.html#step3): first where the length changes, then where a lower place does not
// run through all of its values.
void split(uint32_t first, uint32_t last, std::vector<std::pair<std::string, std::string>>& out) {
  for (const uint32_t end : {0x7Fu, 0x7FFu, 0xFFFFu}) {
    if (first <= end && last > end) {
      split(first, end, out);
      split(end + 1, last, out);
      return;
    }
  }
  for (uint32_t places = 1; places <= 3 && last > 0x7F; ++places) {
    const uint32_t low = (1u << (6 * places)) - 1;
    if ((first & ~low) == (last & ~low)) break;
    if ((first & low) != 0) {
      split(first, first | low, out);
      split((first | low) + 1, last, out);
      return;
    }
    if ((last & low) != low) {
      split(first, (last & ~low) - 1, out);
      split(last & ~low, last, out);
      return;
    }
  }
  std::string low, high;
  text::append_utf8(first, &low);
  text::append_utf8(last, &high);
  out.emplace_back(std::move(low), std::move(high));
}

ByteSet range_at(const std::pair<std::string, std::string>& sequence, size_t at) {
  return ByteSet::range(static_cast<uint8_t>(sequence.first[at]), static_cast<uint8_t>(sequence.second[at]));
}

std::string unicode_escape(uint32_t code) {
  constexpr const char* kDigits = "0123456789abcdef";
  return std::string("\\u00") + kDigits[code >> 4] + kDigits[code & 15];
}

std::string escape(uint32_t code) {
  constexpr std::array<std::pair<char, char>, 7> kShort{
      {{'"', '"'}, {'\\', '\\'}, {'\b', 'b'}, {'\f', 'f'}, {'\n', 'n'}, {'\r', 'r'}, {'\t', 't'}}};
  for (const auto& [c, letter] : kShort) {
    if (code == static_cast<uint32_t>(c)) return {'\\', letter};
  }
  return code < 0x20 ? unicode_escape(code) : std::string();
}

const CharSet& escaped_chars() {
  static const CharSet set{{0, 0x1F}, {'"', '"'}, {'\\', '\\'}};
  return set;
}

}  // namespace

CharSet::CharSet(std::vector<Range> ranges) : ranges_(std::move(ranges)) {
  normalise();
}

void CharSet::normalise() {
  std::ranges::sort(ranges_);
  std::vector<Range> merged;
  for (const Range& range : ranges_) {
    if (!merged.empty() && range.first <= merged.back().second + 1) {
      merged.back().second = std::max(merged.back().second, range.second);
    } else {
      merged.push_back(range);
    }
  }
  ranges_ = std::move(merged);
}

void CharSet::add(uint32_t first, uint32_t last) {
  ranges_.emplace_back(first, last);
  normalise();
}

void CharSet::add(const CharSet& other) {
  ranges_.insert(ranges_.end(), other.ranges_.begin(), other.ranges_.end());
  normalise();
}

CharSet CharSet::complement() const {
  CharSet result;
  uint32_t next = 0;
  for (const auto& [first, last] : ranges_) {
    if (first > next) result.ranges_.emplace_back(next, first - 1);
    next = last + 1;
  }
  if (next <= kLast_char) result.ranges_.emplace_back(next, kLast_char);
  return result;
}

CharSet CharSet::operator&(const CharSet& other) const {
  CharSet result;
  for (size_t i = 0, j = 0; i < ranges_.size() && j < other.ranges_.size();) {
    const uint32_t first = std::max(ranges_[i].first, other.ranges_[j].first);
    const uint32_t last = std::min(ranges_[i].second, other.ranges_[j].second);
    if (first <= last) result.ranges_.emplace_back(first, last);
    ranges_[i].second < other.ranges_[j].second ? ++i : ++j;
  }
  return result;
}

bool CharSet::has(uint32_t code) const {
  return std::ranges::any_of(ranges_, [&](const Range& range) { return range.first <= code && code <= range.second; });
}

RegexId utf8_char(Regexes& regexes, const CharSet& set) {
  const CharSet valid = set & CharSet{{0, 0xD7FF}, {0xE000, kLast_char}};
  std::vector<std::pair<std::string, std::string>> sequences;
  for (const auto& [first, last] : valid.ranges()) split(first, last, sequences);
  // From the last byte to the first, what ends the same way shares it.
  std::map<RegexId, ByteSet> by_rest;
  for (const auto& sequence : sequences) {
    RegexId rest = Regexes::kEpsilon;
    for (size_t at = sequence.first.size(); at-- > 1;)
      rest = regexes.concat(regexes.bytes(range_at(sequence, at)), rest);
    by_rest[rest] |= range_at(sequence, 0);
  }
  std::vector<RegexId> parts;
  for (const auto& [rest, lead] : by_rest) parts.push_back(regexes.concat(regexes.bytes(lead), rest));
  return regexes.either(std::move(parts));
}

RegexId json_char(Regexes& regexes, const CharSet& set) {
  std::vector<RegexId> parts{utf8_char(regexes, set & escaped_chars().complement())};
  const CharSet escaped = set & escaped_chars();
  for (const auto& [first, last] : escaped.ranges()) {
    for (uint32_t code = first; code <= last; ++code) parts.push_back(regexes.literal(escape(code)));
  }
  return regexes.either(std::move(parts));
}

RegexId json_char_freely(Regexes& regexes) {
  const auto set = [&](std::string_view chars) {
    ByteSet bytes;
    for (const char c : chars) bytes.add(static_cast<uint8_t>(c));
    return regexes.bytes(bytes);
  };
  const RegexId hex = set("0123456789abcdefABCDEF"), d = set("dD");
  const RegexId not_surrogate = regexes.either(regexes.concat(set("0123456789abcefABCEF"), regexes.repeat(hex, 3, 3)),
                                               regexes.concat({d, set("01234567"), hex, hex}));
  const RegexId pair =
      regexes.concat({d, set("89abAB"), hex, hex, regexes.literal("\\u"), d, set("cdefCDEF"), hex, hex});
  const RegexId escapes = regexes.concat(
      regexes.literal("\\"),
      regexes.either(set("\"\\/bfnrt"), regexes.concat(regexes.literal("u"), regexes.either(not_surrogate, pair))));
  return regexes.either(utf8_char(regexes, escaped_chars().complement()), escapes);
}

std::string json_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    const std::string escaped = byte < 0x80 ? escape(byte) : std::string();
    out += escaped.empty() ? std::string(1, c) : escaped;
  }
  return out;
}

}  // namespace hearth::grammar
