#include "chat/exact_json.h"

#include <charconv>

namespace hearth::chat {
namespace {

namespace json = boost::json;

constexpr std::string_view kMark = "\"\\u0001";  // as writers of JSON write a text that begins with U+0001

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Of the integer at the beginning of the text; 0 if there is none, or something else that begins like one.
size_t integer_bytes(std::string_view text) {
  size_t end = text.starts_with('-') ? 1 : 0;
  const size_t digits = end;
  while (end < text.size() && is_digit(text[end])) ++end;
  const bool goes_on = end < text.size() && (text[end] == '.' || text[end] == 'e' || text[end] == 'E');
  return end > digits && !goes_on ? end : 0;
}

template <class T>
bool fits(std::string_view integer) {
  T value;
  return std::from_chars(integer.data(), integer.data() + integer.size(), value).ec == std::errc();
}

// Behind the string that begins at `at`.
size_t behind_string(std::string_view text, size_t at) {
  for (++at; at < text.size() && text[at] != '"'; ++at) {
    if (text[at] == '\\') ++at;
  }
  return at + 1;
}

}  // namespace

std::optional<std::string> mark_large_integers(std::string_view text) {
  std::string out;
  size_t copied = 0;
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c == '"') {
      at = behind_string(text, at);
    } else if (c == '-' || is_digit(c)) {
      const size_t bytes = integer_bytes(text.substr(at));
      const std::string_view integer = text.substr(at, bytes);
      size_t end = at + std::max<size_t>(bytes, 1);
      if (bytes == 0) {  // the rest of another number
        while (end < text.size() && std::string_view("+-.eE0123456789").find(text[end]) != std::string_view::npos)
          ++end;
      } else if (!fits<int64_t>(integer) && !fits<uint64_t>(integer)) {
        out.append(text.substr(copied, at - copied)).append(kMark).append(integer).append("\"");
        copied = end;
      }
      at = end;
    } else {
      ++at;
    }
  }
  if (copied == 0) return std::nullopt;
  return out.append(text.substr(copied));
}

json::value parse_exact(std::string_view text, boost::system::error_code& failed) {
  const auto marked = mark_large_integers(text);
  return json::parse(marked ? std::string_view(*marked) : text, failed);
}

std::string serialize_exact(const json::value& value) {
  std::string text = json::serialize(value);
  for (size_t at = 0; (at = text.find(kMark, at)) != std::string::npos;) {
    const size_t begin = at + kMark.size(), bytes = integer_bytes(std::string_view(text).substr(begin));
    // In the middle of another text, or a text of somebody else's?
    const bool opens = at == 0 || text[at - 1] != '\\';
    if (bytes == 0 || !opens || begin + bytes >= text.size() || text[begin + bytes] != '"') {
      at = begin;
      continue;
    }
    text.erase(begin + bytes, 1).erase(at, kMark.size());
    at += bytes;
  }
  return text;
}

}  // namespace hearth::chat
