#include "text/token_table.h"

#include <bit>

namespace hearth::text {

TokenTable::TokenTable(const Vocabulary& vocabulary, size_t count)
    : vocabulary_(&vocabulary), slots_(std::bit_ceil(count * 2 + 1)), mask_(slots_.size() - 1) {}

void TokenTable::insert(Token token) {
  CHECK(used_ < slots_.size() / 2);
  const std::string_view text = vocabulary_->bytes(token);
  const TextKey key = key_of(text);
  size_t i = key.hash & mask_;
  for (; slots_[i].token != kNoToken; i = (i + 1) & mask_)
    if (holds(slots_[i], text, key)) return;
  slots_[i] = {key.head, static_cast<uint32_t>(text.size()), token};
  ++used_;
}

}  // namespace hearth::text
