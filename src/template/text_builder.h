// Puts a text together from parts, each with its origin.
#pragma once

#include <string>
#include <vector>

#include "template/unicode.h"
#include "template/value.h"

namespace hearth::templates {

class TextBuilder {
 public:
  explicit TextBuilder(Budget& budget) : budget_(&budget) {}

  void append(std::string_view text, Origin origin) {
    if (text.empty()) return;
    if (text.size() > kMaxOutput - text_.size()) fail("the text gets too long (more than {} MiB)", kMaxOutput >> 20);
    budget_->work(1 + text.size() / 16);
    text_.append(text);
    if (!pieces_.empty() && pieces_.back().origin == origin) {
      pieces_.back().end = text_.size();
    } else {
      pieces_.push_back({text_.size(), origin});
    }
  }
  void append(const String& string) { append(string, 0, string.text.size()); }
  void append(const String& string, size_t begin, size_t end) {
    each_piece(string, begin, end, [this](std::string_view text, Origin origin) { append(text, origin); });
  }
  // Text of the template's.
  void literal(std::string_view text) { append(text, Origin::kTemplate); }

  size_t size() const { return text_.size(); }
  std::string_view text() const { return text_; }
  bool ends_with(char byte) const { return text_.ends_with(byte); }
  void clear() {
    text_.clear();
    pieces_.clear();
  }
  Budget& budget() { return *budget_; }

  // A copy in the arena.
  Value value(bool markup = false) const {
    String* string = budget_->make<String>(String{budget_->copy(text_), Origin::kTemplate, {}, markup});
    if (!pieces_.empty()) string->origin = pieces_[0].origin;
    if (pieces_.size() > 1) {
      string->pieces = *budget_->make<std::pmr::vector<Piece>>(pieces_.begin(), pieces_.end(), budget_->arena());
    }
    return Value::string(string);
  }
  Rendered take() { return {std::move(text_), std::move(pieces_)}; }

 private:
  Budget* budget_;
  std::string text_;
  std::vector<Piece> pieces_;
};

// What was made of each character of `string`, with the origin of that character: change(code, &out).
template <class Change>
Value map_characters(Budget& budget, const String& string, Change&& change) {
  TextBuilder out(budget);
  each_piece(string, 0, string.text.size(), [&](std::string_view text, Origin origin) {
    std::string changed;
    for (size_t at = 0; at < text.size(); at += unicode::width(text[at]))
      change(unicode::decode(text.substr(at)), &changed);
    out.append(changed, origin);
  });
  return out.value(string.markup);
}

}  // namespace hearth::templates
