#include "chat/input.h"

#include <algorithm>

#include "base/check.h"

namespace hearth::chat {

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

int Literals::add(std::string_view text, bool token) {
  CHECK(!text.empty());
  all_.push_back({std::string(text), token});
  first_bytes_[static_cast<uint8_t>(text[0])] = true;
  return static_cast<int>(all_.size()) - 1;
}

void Input::make_room() {
  constexpr size_t kWorthIt = 4096;
  const size_t unused = std::min(cursor_, held_ == std::string::npos ? cursor_ : held_ - base_);
  if (unused < kWorthIt || unused * 2 < buffer_.size()) return;
  buffer_.erase(0, unused);
  base_ += unused;
  cursor_ -= unused;
  tokens_.erase(tokens_.begin(), std::lower_bound(tokens_.begin(), tokens_.end(), base_));
}

void Input::add_text(std::string_view text) {
  make_room();
  buffer_ += text;
}

void Input::add_token(std::string_view text) {
  make_room();
  tokens_.push_back(base_ + buffer_.size());
  buffer_ += text;
}

void Input::end(Ending ending) {
  ended_ = true;
  ending_ = ending;
}

void Input::skip_space() {
  const size_t begin = cursor_;
  while (cursor_ < buffer_.size() && is_space(buffer_[cursor_])) ++cursor_;
  examined_ += cursor_ - begin;
}

bool Input::is_token(size_t at, std::string_view text) const {
  return std::binary_search(tokens_.begin(), tokens_.end(), base_ + at) && buffer_.compare(at, text.size(), text) == 0;
}

int Input::match_at(size_t at, const Literals& literals) {
  const std::string_view rest = std::string_view(buffer_).substr(at);
  if (rest.empty()) return ended_ ? Literals::kNone : Literals::kMore;
  if (!literals.first_bytes_[static_cast<uint8_t>(rest[0])]) return Literals::kNone;
  int best = Literals::kNone;
  size_t best_size = 0;
  for (size_t i = 0; i < literals.all_.size(); ++i) {
    const auto& [text, token] = literals.all_[i];
    if (text[0] != rest[0]) continue;
    examined_ += std::min(text.size(), rest.size());
    if (!token && !ended_ && rest.size() < text.size() && text.starts_with(rest)) return Literals::kMore;
    const bool here = token ? is_token(at, text) : rest.starts_with(text);
    if (!here || text.size() <= best_size) continue;
    best = static_cast<int>(i);
    best_size = text.size();
  }
  return best;
}

int Input::match(const Literals& literals) {
  const int found = match_at(cursor_, literals);
  if (found >= 0) cursor_ += literals.text(found).size();
  return found;
}

std::string_view Input::take_until(const Literals& literals, int* found, size_t most) {
  const size_t begin = cursor_;
  const size_t limit = most < buffer_.size() - begin ? begin + most : buffer_.size();
  *found = limit == buffer_.size() && !ended_ ? Literals::kMore : Literals::kNone;
  while (cursor_ < limit) {
    if (literals.first_bytes_[static_cast<uint8_t>(buffer_[cursor_])]) {
      const int here = match_at(cursor_, literals);
      if (here != Literals::kNone) {
        *found = here;
        break;
      }
    }
    ++cursor_;
  }
  const size_t end = cursor_;
  examined_ += end - begin;
  if (*found >= 0) cursor_ += literals.text(*found).size();
  return std::string_view(buffer_).substr(begin, end - begin);
}

std::string_view Input::slice(size_t from, size_t to) const {
  return std::string_view(buffer_).substr(from - base_, to - from);
}

}  // namespace hearth::chat
