// What a template can, found by rendering conversations that differ in one thing. Once per template; some fifty
// renders of a few messages.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "chat/message_form.h"
#include "chat/renderer.h"

namespace hearth::chat {

// Of a render on trial: far more than any template takes for a few short messages. A hostile one should not cost its
// limit fifty times.
inline constexpr uint64_t kTrialSteps = 2'000'000;

struct Capabilities {
  bool renders = false;  // one message of a user's, in some form; if not, the rest is a guess that it can everything
  MessageForm form;      // how it wants messages
  bool typed_content = true;  // content may be a list of parts
  bool system_role = true;    // a system message at the beginning
  bool late_system = true;    // ... or anywhere
  bool developer_role = true;
  bool repeated_role = true;   // two messages of one role may follow each other
  bool tools = true;           // it tells the model which tools there are
  bool tool_calls = true;      // it writes the calls of earlier answers
  bool parallel_calls = true;  // several in one answer
  bool tool_results = true;
  bool reasoning_history = true;  // it writes the reasoning of earlier answers, or what it needs of it
  bool thinking_switch = false;   // a variable turns thinking on and off
  bool thinking_levels = false;   // reasoning_effort
  bool generation_prompt = true;  // it opens the answer

  // Calls and their results come back to the model as it was trained on.
  bool round_trip() const { return tool_calls && tool_results; }
};

Capabilities probe(const Renderer& renderer);

// What it can, and what is done where it cannot: lines for people.
std::vector<std::string> describe(const Capabilities& can);
std::vector<std::string> describe_repairs(const Capabilities& can);

}  // namespace hearth::chat
