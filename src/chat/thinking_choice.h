// How much a model is asked to think before it answers.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace hearth::chat {

enum class Think {
  kDefault,  // as the template does by itself
  kOff,
  kOn,
  kLow,  // levels switch thinking on, and say how much where the template knows levels
  kMedium,
  kHigh,
};

// The variables of templates that say so, as members of a JSON object ("" for kDefault): enable_thinking, thinking,
// thinking_budget and reasoning_effort of Jinja templates, think of Ollama's. Templates take those that they know.
std::string thinking_variables(Think think);

}  // namespace hearth::chat
