#include "text/special_tokens.h"

#include <algorithm>

namespace hearth::text {

namespace {

bool is_special(const Vocabulary& vocabulary, Token token) {
  return (vocabulary.is_control(token) || vocabulary.type(token) == TokenType::kUserDefined) &&
         !vocabulary.bytes(token).empty();
}

}  // namespace

SpecialTokens::SpecialTokens(const Vocabulary& vocabulary) : vocabulary_(&vocabulary), table_(vocabulary, 0) {
  std::vector<Token> tokens;
  for (Token token = 0; vocabulary.contains(token); ++token)
    if (is_special(vocabulary, token)) tokens.push_back(token);
  table_ = TokenTable(vocabulary, tokens.size());
  for (const Token token : tokens) {
    const std::string_view text = vocabulary.bytes(token);
    table_.insert(token);
    std::vector<size_t>& lengths = lengths_[static_cast<uint8_t>(text[0])];
    const auto at = std::lower_bound(lengths.begin(), lengths.end(), text.size(), std::greater<>());
    if (at == lengths.end() || *at != text.size()) lengths.insert(at, text.size());
  }
}

SpecialTokens::Match SpecialTokens::Finder::next(size_t from) {
  for (size_t begin = from; begin < text_.size(); ++begin) {
    for (const size_t length : tokens_->lengths_[static_cast<uint8_t>(text_[begin])]) {
      if (length > text_.size() - begin) continue;
      const Token token = tokens_->table_.find(text_.substr(begin, length));
      if (token == kNoToken) continue;
      if (!tokens_->vocabulary_->is_mark(token) || begin + length <= marks_end(begin))
        return {begin, begin + length, token};
    }
  }
  return {text_.size(), text_.size(), kNoToken};
}

// Where a mark that begins at `begin` must end at the latest.
size_t SpecialTokens::Finder::marks_end(size_t begin) {
  while (special_end_ <= begin && !spans_.empty()) {
    const bool special = spans_.front().special;
    const size_t first = spans_begin_;
    for (; !spans_.empty() && (spans_.front().special == special || spans_.front().text.empty());
         spans_ = spans_.subspan(1))
      spans_begin_ += spans_.front().text.size();
    if (special) special_begin_ = first, special_end_ = spans_begin_;
  }
  return special_begin_ <= begin ? special_end_ : begin;
}

}  // namespace hearth::text
