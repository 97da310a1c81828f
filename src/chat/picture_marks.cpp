#include "chat/picture_marks.h"

#include <charconv>

#include "base/random.h"

namespace hearth::chat {
namespace {

constexpr text::Token kFirst_token = -1000;  // downward
constexpr size_t kMost_pictures = 1 << 20;

const std::string& beginning() {
  static const std::string text = "[picture-" + random_hex(32) + "-";
  return text;
}

}  // namespace

std::string picture_mark(size_t picture) {
  return beginning() + std::to_string(picture) + "]";
}

std::optional<PictureMark> find_picture_mark(std::string_view text, size_t from) {
  const std::string& begins = beginning();
  for (size_t at = text.find(begins, from); at != std::string_view::npos; at = text.find(begins, at + 1)) {
    size_t picture = 0;
    const char* const number = text.data() + at + begins.size();
    const auto [end, fault] = std::from_chars(number, text.data() + text.size(), picture);
    if (fault != std::errc() || end == text.data() + text.size() || *end != ']' || picture >= kMost_pictures) continue;
    return PictureMark{at, static_cast<size_t>(end - text.data()) + 1 - at, picture};
  }
  return std::nullopt;
}

std::string without_picture_marks(std::string_view text) {
  std::string out;
  size_t from = 0;
  while (const auto mark = find_picture_mark(text, from)) {
    out += text.substr(from, mark->at - from);
    out += "[img-" + std::to_string(mark->picture) + "]";
    from = mark->at + mark->bytes;
  }
  return out += text.substr(from);
}

text::Token picture_token(size_t picture) {
  return kFirst_token - static_cast<text::Token>(picture);
}

std::optional<size_t> picture_of(text::Token token) {
  if (token > kFirst_token) return std::nullopt;
  return static_cast<size_t>(kFirst_token - token);
}

}  // namespace hearth::chat
