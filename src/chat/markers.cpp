#include "chat/markers.h"

namespace hearth::chat {

void Markers::add(Literals* literals, std::string_view text) const {
  if (asked_ != nullptr) asked_->emplace(text);
  literals->add(text, tokens_.contains(text));
}

Literals Markers::literals(std::span<const std::string_view> texts) const {
  Literals out;
  for (const std::string_view text : texts) {
    if (!text.empty()) add(&out, text);
  }
  return out;
}

}  // namespace hearth::chat
