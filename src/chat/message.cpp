#include "chat/message.h"

#include "base/error.h"
#include "chat/exact_json.h"

namespace hearth::chat {
namespace {

namespace json = boost::json;

void put(json::object* out, std::string_view key, std::string_view text) {
  if (!text.empty()) (*out)[key] = text;
}

json::value arguments_value(const ToolCall& call, Arguments form) {
  if (form == Arguments::kObject) {
    boost::system::error_code failed;
    json::value value = json::parse(call.arguments, failed);
    if (!failed && value.is_object()) return value;
  }
  return json::value(json::string_view(call.arguments));
}

// The text of a member; empty if it is absent or null.
Result<std::string> text_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr || value->is_null()) return std::string();
  if (!value->is_string()) return error(ErrorKind::kUsage, "'{}' must be a text", key);
  return std::string(value->as_string());
}

Result<std::string> read_content(const json::object& object) {
  const json::value* value = object.if_contains("content");
  if (value == nullptr || !value->is_array()) return text_of(object, "content");
  std::string content;
  for (const json::value& part : value->as_array()) {
    const json::object* fields = part.if_object();
    if (fields == nullptr) return error(ErrorKind::kUsage, "a part of 'content' must be an object");
    ASSIGN_OR_RETURN(const std::string text, text_of(*fields, "text"));
    if (text.empty()) continue;
    if (!content.empty()) content += '\n';
    content += text;
  }
  return content;
}

// Mistral's blocks: {"type": "thinking", "thinking": a text, or a list of text parts}.
Result<std::string> read_thinking(const json::object& object) {
  std::string thinking;
  const json::value* content = object.if_contains("content");
  if (content == nullptr || !content->is_array()) return thinking;
  for (const json::value& part : content->as_array()) {
    const json::object* fields = part.if_object();
    const json::value* block = fields == nullptr ? nullptr : fields->if_contains("thinking");
    if (block == nullptr) continue;
    ASSIGN_OR_RETURN(const std::string text,
                     block->is_array() ? read_content({{"content", *block}}) : text_of(*fields, "thinking"));
    if (!thinking.empty() && !text.empty()) thinking += '\n';
    thinking += text;
  }
  return thinking;
}

Result<std::string> read_arguments(const json::object& function) {
  const json::value* value = function.if_contains("arguments");
  if (value == nullptr || value->is_null()) return std::string("{}");
  if (value->is_object()) return serialize_exact(*value);
  if (value->is_string()) return std::string(value->as_string());
  return error(ErrorKind::kUsage, "'arguments' of a tool call must be a text or an object");
}

Result<ToolCall> call_from_json(const json::value& value) {
  const json::object* call = value.if_object();
  const json::value* function = call == nullptr ? nullptr : call->if_contains("function");
  if (function == nullptr || !function->is_object())
    return error(ErrorKind::kUsage, "an entry of 'tool_calls' must be an object with a 'function'");
  ToolCall out;
  ASSIGN_OR_RETURN(out.id, text_of(*call, "id"));
  ASSIGN_OR_RETURN(out.name, text_of(function->get_object(), "name"));
  ASSIGN_OR_RETURN(out.arguments, read_arguments(function->get_object()));
  if (out.name.empty()) return error(ErrorKind::kUsage, "an entry of 'tool_calls' has no 'name'");
  return out;
}

}  // namespace

bool Tool::strict() const {
  const json::value* function = given.if_contains("function");
  const json::object* members = function == nullptr ? nullptr : function->if_object();
  const json::value* strict = members == nullptr ? nullptr : members->if_contains("strict");
  return strict != nullptr && strict->is_bool() && strict->get_bool();
}

json::object to_json(const Message& message, Arguments arguments) {
  json::object out;
  out["role"] = message.role;
  out["content"] = message.content;
  put(&out, "reasoning_content", message.reasoning);
  if (!message.calls.empty()) {
    json::array calls;
    for (const ToolCall& call : message.calls) {
      json::object function{{"name", call.name}, {"arguments", arguments_value(call, arguments)}};
      json::object entry{{"type", "function"}, {"function", std::move(function)}};
      put(&entry, "id", call.id);
      calls.push_back(std::move(entry));
    }
    out["tool_calls"] = std::move(calls);
  }
  put(&out, "tool_call_id", message.call_id);
  put(&out, "name", message.tool_name);
  return out;
}

json::object to_json(const Tool& tool) {
  if (!tool.given.empty()) return tool.given;
  json::object function{{"name", tool.name}};
  put(&function, "description", tool.description);
  function["parameters"] = tool.parameters;
  return {{"type", "function"}, {"function", std::move(function)}};
}

Result<Message> message_from_json(const json::value& value) {
  const json::object* object = value.if_object();
  if (object == nullptr) return error(ErrorKind::kUsage, "a message must be an object");
  Message out;
  ASSIGN_OR_RETURN(out.role, text_of(*object, "role"));
  if (out.role.empty()) return error(ErrorKind::kUsage, "a message has no 'role'");
  ASSIGN_OR_RETURN(out.content, read_content(*object));
  ASSIGN_OR_RETURN(out.reasoning, read_thinking(*object));
  for (const char* key : {"reasoning_content", "reasoning", "thinking"}) {
    if (!out.reasoning.empty() || !object->contains(key)) continue;
    ASSIGN_OR_RETURN(out.reasoning, text_of(*object, key));
  }
  if (const json::value* calls = object->if_contains("tool_calls"); calls != nullptr && !calls->is_null()) {
    if (!calls->is_array()) return error(ErrorKind::kUsage, "'tool_calls' must be a list");
    for (const json::value& entry : calls->get_array()) {
      ASSIGN_OR_RETURN(ToolCall call, call_from_json(entry));
      out.calls.push_back(std::move(call));
    }
  }
  ASSIGN_OR_RETURN(out.call_id, text_of(*object, "tool_call_id"));
  ASSIGN_OR_RETURN(out.tool_name, text_of(*object, object->contains("tool_name") ? "tool_name" : "name"));
  return out;
}

Result<Tool> tool_from_json(const json::value& value) {
  const json::object* object = value.if_object();
  if (object != nullptr) {
    if (const json::value* inner = object->if_contains("function")) object = inner->if_object();
  }
  if (object == nullptr) return error(ErrorKind::kUsage, "a tool must be an object with a 'function'");
  Tool out;
  out.given =
      object == value.if_object() ? json::object{{"type", "function"}, {"function", value}} : value.get_object();
  ASSIGN_OR_RETURN(out.name, text_of(*object, "name"));
  if (out.name.empty()) return error(ErrorKind::kUsage, "a tool has no 'name'");
  ASSIGN_OR_RETURN(out.description, text_of(*object, "description"));
  const json::value* parameters = object->if_contains("parameters");
  if (parameters == nullptr || parameters->is_null()) return out;
  if (!parameters->is_object())
    return error(ErrorKind::kUsage, "'parameters' of the tool '{}' must be an object", out.name);
  out.parameters = parameters->get_object();
  return out;
}

Result<std::vector<Tool>> tools_from_json(const json::value& value) {
  std::vector<Tool> out;
  if (value.is_null()) return out;
  if (!value.is_array()) return error(ErrorKind::kUsage, "'tools' must be a list");
  for (const json::value& entry : value.get_array()) {
    ASSIGN_OR_RETURN(Tool tool, tool_from_json(entry));
    out.push_back(std::move(tool));
  }
  return out;
}

}  // namespace hearth::chat
