#include "cli/picture_files.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "image/decode.h"

namespace hearth::cli {
namespace {

constexpr std::string_view kEndings[] = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp"};

bool may_be_picture(std::string path) {
  std::ranges::transform(path, path.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::ranges::any_of(kEndings, [&](std::string_view ending) { return path.ends_with(ending); });
}

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// A word of a text from `begin` on, quoted or with escaped blanks.
struct Word {
  size_t begin, end;
  std::string text;
};
Word next_word(const std::string& text, size_t begin) {
  while (begin < text.size() && is_blank(text[begin])) ++begin;
  Word word{begin, begin, {}};
  const char quote = begin < text.size() && (text[begin] == '\'' || text[begin] == '"') ? text[begin] : '\0';
  const size_t close = quote != '\0' ? text.find(quote, begin + 1) : std::string::npos;
  if (close != std::string::npos && may_be_picture(text.substr(begin + 1, close - begin - 1)))
    return {begin, close + 1, text.substr(begin + 1, close - begin - 1)};
  for (; word.end < text.size() && !is_blank(text[word.end]); ++word.end) {
    if (text[word.end] == '\\' && word.end + 1 < text.size() && text[word.end + 1] == ' ') ++word.end;
    word.text += text[word.end];
  }
  return word;
}

}  // namespace

Status add_picture_file(const std::string& path, PictureFiles* pictures) {
  ASSIGN_OR_RETURN(std::string file, read_file(path));
  if (!image::is_picture(std::as_bytes(std::span(file))))
    return error(ErrorKind::kUnsupported, "{} is no PNG, JPEG, WebP, GIF or BMP picture", path);
  pictures->push_back(std::make_shared<const std::string>(std::move(file)));
  return {};
}

Status take_picture_paths(std::string* text, PictureFiles* pictures) {
  for (size_t at = 0; at < text->size();) {
    const Word word = next_word(*text, at);
    std::error_code failed;
    if (!may_be_picture(word.text) || !std::filesystem::is_regular_file(word.text, failed)) {
      at = word.end;
      continue;
    }
    TRY(add_picture_file(word.text, pictures));
    const size_t begin = word.begin > 0 && is_blank((*text)[word.begin - 1]) ? word.begin - 1 : word.begin;
    text->erase(begin, word.end - begin);
    at = begin;
  }
  return {};
}

}  // namespace hearth::cli
