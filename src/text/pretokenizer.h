// Cuts a text into the words that byte pair encoding works on, the way a model was trained with:
// tokenizer.ggml.pre names it.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "text/scanner.h"

namespace hearth::text {

struct Pretokenizer {
  std::vector<std::string_view> names;
  // Each cuts what the one before left: its matches and the stretches between them become pieces.
  std::vector<Scanner> passes;
  bool ignore_merges = false;  // a word that is a token needs no merges to become it
  bool adds_bos = false;       // unless tokenizer.ggml.add_bos_token says otherwise
};

// Null if there is none of this name.
const Pretokenizer* find_pretokenizer(std::string_view name);
std::span<const Pretokenizer> all_pretokenizers();

// Calls word(std::string_view) for each word of `text`, in order.
template <class Word>
void split_words(std::span<const Scanner> passes, std::string_view text, const Word& word) {
  if (passes.empty()) return word(text);
  const CharReader reader(text);
  for (size_t at = 0; at < text.size();) {
    const Range match = passes[0](reader, at);
    if (match.begin > at) split_words(passes.subspan(1), text.substr(at, match.begin - at), word);
    if (match.end > match.begin)
      split_words(passes.subspan(1), text.substr(match.begin, match.end - match.begin), word);
    at = match.end;
  }
}

}  // namespace hearth::text
