#include "cli/input.h"

#include <utf8proc.h>

#include <charconv>

#include "base/error.h"
#include "base/file.h"
#include "base/outside_text.h"

namespace hearth::cli {
namespace {

bool separates(char c) {
  return c == ' ' || c == ',' || c == '\t' || c == '\r' || c == '\n' || c == '[' || c == ']';
}

}  // namespace

Result<std::string> text_from_outside(std::string text, std::string_view what) {
  if (const char* encoding = wide_encoding(text))
    return error(ErrorKind::kUsage, "{} is {}; UTF-8 is needed: convert it, for example with iconv -f {} -t UTF-8",
                 what, encoding, encoding);
  drop_byte_order_mark(text);
  TRY(check_utf8(text, what));
  return text;
}

Result<std::string> read_text(const std::string& path, std::string_view what) {
  ASSIGN_OR_RETURN(std::string text, read_file(path));
  return text_from_outside(std::move(text), what);
}

Result<std::string> read_standard_input(std::string_view what) {
  return read_text("/dev/stdin", what);
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

Status check_output(const std::string& path) {
  if (path.empty()) return error(ErrorKind::kUsage, "the name of the file to write is empty");
  if (path != "-") return {};
  return error(ErrorKind::kUsage,
               "'-' is no file to write: a file appears when it is whole, so it cannot go to standard "
               "output; give a path (./- for a file of this name)");
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
