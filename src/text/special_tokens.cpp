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

SpecialTokens::Match SpecialTokens::next(std::string_view text, size_t from, bool control) const {
  for (size_t begin = from; begin < text.size(); ++begin) {
    for (const size_t length : lengths_[static_cast<uint8_t>(text[begin])]) {
      if (length > text.size() - begin) continue;
      const Token token = table_.find(text.substr(begin, length));
      if (token != kNoToken && (control || !vocabulary_->is_control(token))) return {begin, begin + length, token};
    }
  }
  return {text.size(), text.size(), kNoToken};
}

}  // namespace hearth::text
