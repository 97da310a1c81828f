// Finds the tokens that are cut out of a text before it is tokenized: control and user-defined ones, those that are
// marks (Vocabulary::is_mark) only in what a template wrote. Leftmost first, longest first, as the Hugging Face
// tokenizers do.
#pragma once

#include <array>
#include <span>
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
  // Goes through one text from its begin to its end.
  class Finder {
   public:
    // The spans cover the text. All must outlive this object.
    Finder(const SpecialTokens& tokens, std::string_view text, std::span<const Span> spans)
        : tokens_(&tokens), text_(text), spans_(spans) {}
    // The first token at or after `from`, which never decreases.
    Match next(size_t from);

   private:
    size_t marks_end(size_t begin);

    const SpecialTokens* tokens_;
    std::string_view text_;
    std::span<const Span> spans_;                 // those not yet looked at
    size_t spans_begin_ = 0;                      // of the first of them, in the text
    size_t special_begin_ = 0, special_end_ = 0;  // what the template wrote: the last stretch found
  };

  // The special token of exactly this text, or kNoToken.
  Token find(std::string_view text) const { return table_.find(text); }

 private:
  const Vocabulary* vocabulary_;
  TokenTable table_;
  std::array<std::vector<size_t>, 256> lengths_;  // of the tokens that begin with a byte, longest first
};

}  // namespace hearth::text
