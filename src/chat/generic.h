// How a model calls tools that has no format of its own for it: the system message asks for one JSON object, either
// {"tool_call": {"name": ..., "arguments": {...}}}, {"tool_calls": [...]} or {"response": "text"}.
#pragma once

#include <span>
#include <string>

#include "chat/family.h"
#include "chat/message.h"

namespace hearth::chat {

// To be appended to the system message.
std::string generic_instruction(std::span<const Tool> tools);

// How such answers are read.
const Markup& generic_markup();

}  // namespace hearth::chat
