// Remembers, within one call of encode(), which tokens a word became, so that each frequent word is
// tokenized once. Keeps no texts and no tokens of its own: it points back into the input and the output.
#pragma once

#include <algorithm>
#include <bit>
#include <string_view>
#include <vector>

#include "text/token_table.h"

namespace hearth::text {

class WordCache {
 public:
  // For words of `text`, whose tokens go to the end of `out`.
  WordCache(std::string_view text, std::vector<Token>* out)
      : text_(text), out_(out), entries_(std::bit_ceil(std::clamp<size_t>(text.size() / 32, 1, kMaxEntries))) {}

  // Appends the tokens of `word`, a part of the text: known ones, or those that make(word) appends.
  template <class Make>
  void append(std::string_view word, Make make) {
    if (word.size() > kMaxWordBytes) return make(word);
    Entry& entry = entries_[key_of(word).hash & (entries_.size() - 1)];
    if (text_.substr(entry.begin, entry.bytes) == word) {
      for (size_t i = 0; i < entry.tokens; ++i) out_->push_back((*out_)[entry.first + i]);
      return;
    }
    const size_t first = out_->size();
    make(word);
    entry = {static_cast<size_t>(word.data() - text_.data()), first, static_cast<uint32_t>(word.size()),
             static_cast<uint32_t>(out_->size() - first)};
  }

 private:
  static constexpr size_t kMaxEntries = 1 << 14;
  static constexpr size_t kMaxWordBytes = 64;
  struct Entry {
    size_t begin = 0;  // of the word, in text_
    size_t first = 0;  // token, in out_
    uint32_t bytes = 0;
    uint32_t tokens = 0;
  };

  std::string_view text_;
  std::vector<Token>* out_;
  std::vector<Entry> entries_;  // a power of two; a new word replaces the old one in its place
};

}  // namespace hearth::text
