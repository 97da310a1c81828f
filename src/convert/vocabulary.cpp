#include "convert/vocabulary.h"

#include <algorithm>

#include "base/error.h"

namespace hearth::convert {
namespace {

constexpr std::string_view kSpaceSign = "\u2581";
constexpr float kAdded_score = -1000;  // of tokens that no merge makes

std::string with_spaces(std::string_view text) {
  std::string out;
  for (size_t at = text.find(kSpaceSign); at != std::string_view::npos; at = text.find(kSpaceSign)) {
    out.append(text.substr(0, at)).push_back(' ');
    text.remove_prefix(at + kSpaceSign.size());
  }
  return out.append(text);
}

}  // namespace

Status Vocabulary::add(const std::vector<AddedToken>& added) {
  for (const AddedToken& token : added) {
    if (token.id >= kMost_tokens)
      return error(ErrorKind::kInvalidData, "the added token '{}' has number {}; at most {} are expected", token.text,
                   token.id, kMost_tokens);
    while (tokens.size() <= token.id) {
      tokens.push_back(fmt::format("[PAD{}]", tokens.size()));
      types.push_back(TokenType::kUnused);
      if (model != "gpt2") scores.push_back(kAdded_score);
    }
    TokenType& type = types[token.id];
    if (type == TokenType::kByte || (type == TokenType::kUnknown && tokens[token.id] == token.text)) continue;
    type = token.special ? TokenType::kControl : TokenType::kUserDefined;
    // Parts of ordinary text are found in it as it is written.
    tokens[token.id] = token.special || model == "gpt2" ? token.text : with_spaces(token.text);
    if (model != "gpt2") scores[token.id] = kAdded_score;
  }
  return {};
}

std::optional<uint32_t> Vocabulary::find(std::string_view text) const {
  const auto found = std::find(tokens.begin(), tokens.end(), text);
  if (found == tokens.end()) return std::nullopt;
  return static_cast<uint32_t>(found - tokens.begin());
}

}  // namespace hearth::convert
