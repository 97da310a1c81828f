// How a template wants its messages: the same conversation in JSON differs from template to template.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "chat/message.h"

namespace hearth::chat {

struct MessageForm {
  enum class EmptyContent { kText, kNull, kAbsent };  // of a message that is calls alone

  Arguments arguments = Arguments::kObject;
  EmptyContent empty_content = EmptyContent::kText;
  bool content_is_list = false;     // [{"type": "text", "text": ...}]
  bool thinking_blocks = false;     // reasoning: [{"type": "thinking", "thinking": ...}, ...]
  bool nine_character_ids = false;  // of calls
  bool needs_description = true;    // every tool must have one
  // What the schema of a tool's arguments must have, since the template goes on without asking.
  bool needs_parameters = true, needs_type = true, needs_properties = true;
  std::string_view reasoning_field = "reasoning_content";  // empty: it is left out, or in blocks
};

// JSON lists. The arguments of calls are copied byte for byte, so that no digit of a number is lost.
std::string messages_json(std::span<const Message> messages, const MessageForm& form);
std::string tools_json(std::span<const Tool> tools, const MessageForm& form);  // empty if there are none

}  // namespace hearth::chat
