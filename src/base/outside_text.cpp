#include "base/outside_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace hearth {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kMark = "\xEF\xBB\xBF";

// Bytes that follow the first one of a UTF-8 sequence.
int bytes_behind(uint8_t lead) {
  if (lead < 0xC2 || lead > 0xF4) return 0;
  return lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
}

bool continues(char c) {
  return (static_cast<uint8_t>(c) & 0xC0) == 0x80;
}

}  // namespace

std::string printable(std::string_view text, std::string_view allowed) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const auto byte = static_cast<uint8_t>(text[at]);
    size_t size = 1;
    while (size <= static_cast<size_t>(bytes_behind(byte)) && at + size < text.size() && continues(text[at + size]))
      ++size;
    const bool ascii = byte >= ' ' && byte < 0x7F;
    const bool whole = size > 1 && size == static_cast<size_t>(bytes_behind(byte)) + 1;
    const bool control = byte == 0xC2 && size == 2 && static_cast<uint8_t>(text[at + 1]) < 0xA0;
    if (ascii || (whole && !control) || allowed.find(text[at]) != std::string_view::npos) {
      out += text.substr(at, size);
    } else {
      for (const char c : text.substr(at, size)) out += fmt::format("\\x{:02x}", static_cast<uint8_t>(c));
    }
    at += size;
  }
  return out;
}

void drop_byte_order_mark(std::string& text) {
  if (text.starts_with(kMark)) text.erase(0, kMark.size());
}

void drop_line_end(std::string& text) {
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
}

const char* wide_encoding(std::string_view text) {
  if (text.starts_with("\xFF\xFE\0\0"sv) || text.starts_with("\0\0\xFE\xFF"sv)) return "UTF-32";
  if (text.starts_with("\xFF\xFE"sv) || text.starts_with("\xFE\xFF"sv)) return "UTF-16";
  // Without a mark: every other byte of Latin letters is zero.
  const std::string_view start = text.substr(0, 64);
  const auto zeros = static_cast<size_t>(std::ranges::count(start, '\0'));
  return start.size() >= 4 && zeros * 5 >= start.size() * 2 && zeros * 5 <= start.size() * 3 ? "UTF-16" : nullptr;
}

}  // namespace hearth
