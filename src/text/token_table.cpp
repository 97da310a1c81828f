#include "text/token_table.h"

#include <bit>

namespace hearth::text {

TokenTable::TokenTable(size_t count) : slots_(std::bit_ceil(count * 2 + 1)), mask_(slots_.size() - 1) {
  entries_.reserve(count);
}

void TokenTable::insert(std::string_view text, Token token) {
  CHECK(entries_.size() < slots_.size() / 2);
  const uint64_t hash = hash_bytes(text);
  size_t i = hash & mask_;
  for (; slots_[i].entry != kEmpty; i = (i + 1) & mask_)
    if (slots_[i].tag == tag_of(hash) && entries_[slots_[i].entry].text == text) return;
  slots_[i] = {tag_of(hash), static_cast<uint32_t>(entries_.size())};
  entries_.push_back({text, token});
}

}  // namespace hearth::text
