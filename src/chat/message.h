// A conversation: messages, the tools that are offered, and the calls that a model makes. JSON as in OpenAI's chat
// completions (https://platform.openai.com/docs/api-reference/chat), which Ollama's differs from in two names.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hearth::chat {

struct Tool {
  std::string name, description;
  boost::json::object parameters;  // JSON schema of an object; empty if the tool takes nothing
  // The entry as it came, if it came as JSON: templates print tools whole, with all their members in their order.
  boost::json::object given = {};

  bool strict() const;  // the caller demands that calls obey the schema to the letter
};

struct ToolCall {
  std::string id, name;
  std::string arguments;  // the JSON text of one object
  bool complete = true;   // false where the answer ended, or became invalid, inside the arguments
};

struct Message {
  std::string role;  // "system", "user", "assistant", "tool", ...
  std::string content;
  std::string reasoning = {};
  std::vector<ToolCall> calls = {};
  std::string call_id = {}, tool_name = {};  // of a tool's result: the call that it answers
};

// How the arguments of calls stand in JSON: as a text (OpenAI) or as an object (Ollama, and what most templates read).
enum class Arguments { kText, kObject };

// Absent parts are left out. Arguments that are no JSON object stay a text.
boost::json::object to_json(const Message& message, Arguments arguments);
boost::json::object to_json(const Tool& tool);  // as it was given, if it was

// Content may be a text, null or a list of text parts (joined by line breaks) and of blocks of reasoning,
// as Mistral has them; reasoning may also be called reasoning_content, reasoning or thinking; arguments may be a text
// or an object. Errors: kUsage, naming the member.
Result<Message> message_from_json(const boost::json::value& value);
// {"type": "function", "function": {...}} or the inner object alone; numbers as of parse_exact() (exact_json.h) keep
// their digits. Errors: kUsage.
Result<Tool> tool_from_json(const boost::json::value& value);
Result<std::vector<Tool>> tools_from_json(const boost::json::value& value);

}  // namespace hearth::chat
