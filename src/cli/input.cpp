#include "cli/input.h"

#include <utf8proc.h>

#include <charconv>

#include "base/error.h"
#include "base/file.h"

namespace hearth::cli {
namespace {

bool separates(char c) {
  return c == ' ' || c == ',' || c == '\t' || c == '\r' || c == '\n' || c == '[' || c == ']';
}

}  // namespace

Result<std::string> read_standard_input() {
  return read_file("/dev/stdin");
}

Status check_utf8(std::string_view text, std::string_view what) {
  for (size_t at = 0; at < text.size();) {
    utf8proc_int32_t character = 0;
    const auto rest = static_cast<utf8proc_ssize_t>(text.size() - at);
    const auto bytes = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + at, rest, &character);
    if (bytes <= 0) {
      return error(ErrorKind::kUsage,
                   "{} is not valid UTF-8: byte 0x{:02x} at offset {}; convert it, for example with iconv", what,
                   static_cast<unsigned char>(text[at]), at);
    }
    at += static_cast<size_t>(bytes);
  }
  return {};
}

Result<std::vector<int32_t>> parse_token_ids(std::string_view text, std::string_view name) {
  std::vector<int32_t> ids;
  for (size_t at = 0; at < text.size();) {
    if (separates(text[at])) {
      ++at;
      continue;
    }
    int32_t id = 0;
    const auto [end, code] = std::from_chars(text.data() + at, text.data() + text.size(), id);
    if (code != std::errc() || (end != text.data() + text.size() && !separates(*end))) {
      return error(ErrorKind::kInvalidData, "{} at offset {}: not a token id (a list of integers is expected)", name,
                   at);
    }
    ids.push_back(id);
    at = static_cast<size_t>(end - text.data());
  }
  if (ids.empty()) return error(ErrorKind::kInvalidData, "{} holds no token ids", name);
  return ids;
}

}  // namespace hearth::cli
