#include "chat/known_tokens.h"

#include <algorithm>

#include "chat/picture_marks.h"

namespace hearth::chat {

using templates::Rendered;

KnownTokens& KnownTokens::operator=(KnownTokens&& other) noexcept {
  text_ = std::move(other.text_);
  parts_ = std::move(other.parts_);
  tokens_ = std::move(other.tokens_);
  borders_ = std::move(other.borders_);
  return *this;
}

void KnownTokens::append(std::string_view text, Origin origin) {
  if (text.empty()) return;
  text_ += text;
  if (parts_.empty() || parts_.back().origin != origin) parts_.push_back({0, origin});
  parts_.back().end = text_.size();
}

// Bytes that are equal and of the same origin: a special token is known only where a template wrote it again.
size_t KnownTokens::common_bytes(const Rendered& rendered) const {
  const auto differ = std::ranges::mismatch(text_, rendered.text);
  const size_t equal = static_cast<size_t>(differ.in1 - text_.begin());
  size_t at = 0;
  for (size_t mine = 0, its = 0; at < equal && mine < parts_.size() && its < rendered.pieces.size();) {
    const bool by_template = rendered.pieces[its].origin == templates::Origin::kTemplate;
    const Origin origin = parts_[mine].origin;
    if (origin != Origin::kAny && (origin == Origin::kTemplate) != by_template) break;
    at = std::min(parts_[mine].end, rendered.pieces[its].end);
    if (parts_[mine].end == at) ++mine;
    if (rendered.pieces[its].end == at) ++its;
  }
  return std::min(at, equal);
}

void KnownTokens::cut(const Border& border) {
  text_.resize(border.bytes);
  tokens_.resize(border.tokens);
  while (!parts_.empty() && (parts_.size() > 1 ? parts_[parts_.size() - 2].end : 0) >= border.bytes) parts_.pop_back();
  if (!parts_.empty()) parts_.back().end = border.bytes;
}

std::vector<text::Token> KnownTokens::encode(const Rendered& rendered) {
  const size_t common = common_bytes(rendered);
  while (!borders_.empty() && borders_.back().bytes > common) borders_.pop_back();
  std::vector<text::Token> rest;
  for (; !borders_.empty(); borders_.pop_back()) {
    cut(borders_.back());
    Rendered tail{rendered.text.substr(text_.size()), {}};
    for (const templates::Piece& piece : rendered.pieces) {
      if (piece.end > text_.size()) tail.pieces.push_back({piece.end - text_.size(), piece.origin});
    }
    rest = model_.encode_more(tail);
    // Some tokenizers put a space before the first word of what they are given: here it would be one too many.
    const bool fits =
        rest.empty() || picture_of(rest[0]) || tail.text.starts_with(model_.tokenizer().piece(rest[0], true));
    if (fits) break;
  }
  if (borders_.empty()) {
    clear();
    rest = model_.encode(rendered);
  }
  size_t begin = 0;
  const size_t known = text_.size();
  for (const templates::Piece& piece : rendered.pieces) {
    const size_t from = std::max(begin, known);
    if (piece.end > from) {
      append(std::string_view(rendered.text).substr(from, piece.end - from),
             piece.origin == templates::Origin::kTemplate ? Origin::kTemplate : Origin::kUser);
    }
    begin = piece.end;
  }
  tokens_.insert(tokens_.end(), rest.begin(), rest.end());
  if (borders_.empty() || borders_.back().bytes < text_.size()) borders_.push_back({text_.size(), tokens_.size()});
  return tokens_;
}

void KnownTokens::add_answer(std::span<const text::Token> tokens) {
  const text::Tokenizer& tokenizer = model_.tokenizer();
  for (const text::Token token : tokens) {
    if (tokenizer.is_end_of_generation(token)) break;
    append(tokenizer.piece(token, true), tokenizer.is_special(token) ? Origin::kTemplate : Origin::kAny);
    tokens_.push_back(token);
  }
  borders_.push_back({text_.size(), tokens_.size()});
}

}  // namespace hearth::chat
