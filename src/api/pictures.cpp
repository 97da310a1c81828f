#include "api/pictures.h"

#include <algorithm>

#include "base/base64.h"
#include "base/error.h"
#include "chat/picture_marks.h"

namespace hearth::api {
namespace {

constexpr std::string_view kData = "data:", kBase64 = ";base64,";

constexpr size_t kMost_address_bytes = 8192;

bool is_address(std::string_view text) {
  return text.starts_with("http://") || text.starts_with("https://");
}

Error too_many(const std::string& where) {
  return error(ErrorKind::kUsage, "{}: more than {} pictures in one request", where, kMost_pictures);
}

// What is behind the comma of a data URL, or the text itself. White space, which line breaks of mail bring, is left
// out.
Result<std::string> encoded_part(std::string_view text, const std::string& where) {
  if (is_address(text) || text.starts_with("file:"))
    return error(ErrorKind::kUsage, "{}: addresses are not fetched; send the picture itself, as a data: URL or base64",
                 where);
  if (text.starts_with(kData)) {
    const size_t comma = text.find(kBase64);
    if (comma == std::string_view::npos || comma > 200)
      return error(ErrorKind::kUsage, "{} is no data URL in base64 (\"data:image/png;base64,...\")", where);
    text.remove_prefix(comma + kBase64.size());
  }
  std::string encoded;
  encoded.reserve(text.size());
  for (const char c : text)
    if (c != '\n' && c != '\r' && c != ' ' && c != '\t') encoded += c == '-' ? '+' : c == '_' ? '/' : c;
  while (encoded.size() % 4 != 0 && encoded.size() % 4 != 1) encoded += '=';
  return encoded;
}

}  // namespace

std::string Pictures::add(std::string file) {
  files_.push_back(std::make_shared<const std::string>(std::move(file)));
  return chat::picture_mark(files_.size() - 1);
}

Result<std::string> Pictures::add_base64(std::string_view text, const std::string& where) {
  if (files_.size() >= kMost_pictures) return too_many(where);
  ASSIGN_OR_RETURN(const std::string encoded, encoded_part(text, where));
  std::optional<std::string> file = from_base64(encoded);
  if (!file || file->empty()) return error(ErrorKind::kUsage, "{} is no picture in base64", where);
  return add(std::move(*file));
}

Result<std::string> Pictures::add_url(std::string_view url, const std::string& where) {
  if (!is_address(url)) return add_base64(url, where);
  if (files_.size() >= kMost_pictures) return too_many(where);
  if (url.size() > kMost_address_bytes)
    return error(ErrorKind::kUsage, "{} is longer than the {} bytes of an address", where, kMost_address_bytes);
  addresses_.emplace(files_.size(), url);
  files_.push_back(nullptr);
  return chat::picture_mark(files_.size() - 1);
}

void Pictures::fetched(size_t index, std::string file) {
  files_.at(index) = std::make_shared<const std::string>(std::move(file));
  addresses_.erase(index);
}

}  // namespace hearth::api
