// Changes a conversation into one that a template can write, where it could not as it is. Nothing is lost but reasoning
// that the template has no place for.
#pragma once

#include <span>
#include <vector>

#include "chat/capabilities.h"

namespace hearth::chat {

struct RepairOptions {
  // Not empty: the model calls these by the generic protocol; the system message says so, and calls and results are
  // text.
  std::span<const Tool> generic_tools = {};
  bool generic = false;  // also without tools: that calls in the history become text
};

std::vector<Message> repair(std::span<const Message> messages, const Capabilities& can, const RepairOptions& options);

}  // namespace hearth::chat
