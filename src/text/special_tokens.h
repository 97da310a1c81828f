// Finds the tokens that are cut out of a text before it is tokenized: user-defined ones always, control
// tokens only when the caller asks for it. Leftmost first, longest first, as the Hugging Face tokenizers do.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "text/token_table.h"
#include "text/vocabulary.h"

namespace hearth::text {

class SpecialTokens {
 public:
  // `vocabulary` must outlive this object.
  explicit SpecialTokens(const Vocabulary& vocabulary);

  struct Match {
    size_t begin, end;  // both text.size() if nothing was found
    Token token;
  };
  // The first special token in `text` at or after `from`.
  Match next(std::string_view text, size_t from, bool control) const;
  // The special token of exactly this text, or kNoToken.
  Token find(std::string_view text) const { return table_.find(text); }

 private:
  const Vocabulary* vocabulary_;
  TokenTable table_;
  std::array<std::vector<size_t>, 256> lengths_;  // of the tokens that begin with a byte, longest first
};

}  // namespace hearth::text
