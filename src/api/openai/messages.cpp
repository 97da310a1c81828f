#include <algorithm>
#include <boost/json.hpp>
#include <map>

#include "api/openai/ask.h"
#include "api/pictures.h"
#include "base/error.h"

namespace hearth::api::openai {
namespace {

namespace json = boost::json;

// {"image_url": {"url": "data:..." or "https://..."}}, or the URL alone as the Responses API has it.
Status add_picture(const Fields& part, std::string& content) {
  const json::value* image = part.find("image_url");
  if (image == nullptr)
    return part.refuse("image_url", "missing_required_parameter", "{} is missing: files are not stored here",
                       part.path("image_url"));
  const json::value* url = image->is_object() ? image->get_object().if_contains("url") : image;
  if (url == nullptr || !url->is_string()) return part.wrong_type("image_url", "a URL", *image);
  if (part.pictures() == nullptr) return part.refuse("type", "unsupported_value", "pictures are not read here");
  const auto mark = part.pictures()->add_url(view(url->get_string()), part.path("image_url"));
  if (!mark) return part.refuse("image_url", "invalid_value", "{}", mark.error().message);
  content += *mark;
  return {};
}

// One part of a content; images are never left out in silence.
Status add_part(const Fields& part, std::string& content) {
  ASSIGN_OR_RETURN(const auto type, part.text("type"));
  const std::string kind = type.value_or(part.find("text") != nullptr ? "text" : "");
  if (kind == "text" || kind == "input_text" || kind == "output_text" || kind == "refusal") {
    ASSIGN_OR_RETURN(const auto text, part.text(kind == "refusal" ? "refusal" : "text"));
    if (!text) return part.refuse("text", "missing_required_parameter", "{} is missing", part.path("text"));
    content += *text;
    return {};
  }
  if (kind == "image_url" || kind == "input_image" || part.find("image_url") != nullptr)
    return add_picture(part, content);
  if (kind == "input_audio")
    return part.refuse("type", "unsupported_value", "sounds are not supported: this server has no model that hears");
  if (kind == "file" || kind == "input_file")
    return part.refuse("type", "unsupported_value", "files are not supported: put their text into the message");
  return part.refuse("type", "invalid_value", "{} is \"{}\"; the content of messages here is text", part.path("type"),
                     kind);
}

// A call as it stands in the history.
Result<chat::ToolCall> decode_call(const Fields& call, std::vector<std::string>& warnings) {
  chat::ToolCall out;
  ASSIGN_OR_RETURN(const auto id, call.text("id"));
  out.id = id.value_or("");
  ASSIGN_OR_RETURN(const json::object* custom, call.object("custom"));
  if (custom != nullptr) {
    const Fields inner = call.inner(*custom, "custom");
    ASSIGN_OR_RETURN(const auto name, inner.text("name"));
    ASSIGN_OR_RETURN(const auto input, inner.text("input"));
    out.name = name.value_or("");
    out.arguments = json::serialize(json::object{{"input", input.value_or("")}});
  } else {
    ASSIGN_OR_RETURN(const json::object* function, call.object("function"));
    if (function == nullptr)
      return call.refuse("function", "missing_required_parameter", "{} is missing", call.path("function"));
    const Fields inner = call.inner(*function, "function");
    ASSIGN_OR_RETURN(const auto name, inner.text("name"));
    out.name = name.value_or("");
    out.arguments = repaired_arguments(inner.find("arguments"), inner.path("arguments"), warnings);
  }
  if (out.name.empty()) return call.refuse("function.name", "missing_required_parameter", "a call has no name");
  return out;
}

Status decode_calls(const Fields& message, chat::Message& out, std::vector<std::string>& warnings) {
  ASSIGN_OR_RETURN(const json::array* calls, message.array("tool_calls"));
  for (size_t i = 0; calls != nullptr && i < calls->size(); ++i) {
    const std::string where = fmt::format("tool_calls[{}]", i);
    if (!calls->at(i).is_object()) return message.wrong_type(where, "an object", calls->at(i));
    ASSIGN_OR_RETURN(chat::ToolCall call, decode_call(message.inner(calls->at(i).get_object(), where), warnings));
    out.calls.push_back(std::move(call));
  }
  ASSIGN_OR_RETURN(const json::object* function, message.object("function_call"));
  if (function != nullptr) {
    const json::object as_call{{"function", *function}};
    ASSIGN_OR_RETURN(chat::ToolCall call, decode_call(message.inner(as_call, "function_call"), warnings));
    out.calls.push_back(std::move(call));
  }
  return {};
}

Result<chat::Message> decode_message(const Fields& message, std::vector<std::string>& warnings) {
  constexpr std::string_view kRoles[] = {"system", "developer", "user", "assistant", "tool", "function"};
  chat::Message out;
  ASSIGN_OR_RETURN(const auto role, message.text("role"));
  if (!role) return message.refuse("role", "missing_required_parameter", "{} is missing", message.path("role"));
  out.role = *role;
  if (std::ranges::find(kRoles, out.role) == std::end(kRoles))
    return message.refuse("role", "invalid_value", "{} is \"{}\"; it must be one of {}", message.path("role"), out.role,
                          fmt::join(kRoles, ", "));
  ASSIGN_OR_RETURN(out.content, decode_content(message, "content"));
  ASSIGN_OR_RETURN(const auto name, message.text("name"));
  out.tool_name = name.value_or("");
  if (out.role == "assistant") {
    for (const char* key : {"reasoning_content", "reasoning", "thinking"}) {
      if (!out.reasoning.empty() || message.find(key) == nullptr) continue;
      ASSIGN_OR_RETURN(const auto reasoning, message.text(key));
      out.reasoning = reasoning.value_or("");
    }
    ASSIGN_OR_RETURN(const auto refusal, message.text("refusal"));
    if (out.content.empty()) out.content = refusal.value_or("");
    TRY(decode_calls(message, out, warnings));
  } else if (message.find("content") == nullptr) {
    return message.refuse("content", "missing_required_parameter", "{} is missing", message.path("content"));
  }
  if (out.role == "tool" || out.role == "function") {
    ASSIGN_OR_RETURN(const auto id, message.text("tool_call_id"));
    if (!id && out.role == "tool")
      return message.refuse("tool_call_id", "missing_required_parameter", "{} is missing",
                            message.path("tool_call_id"));
    out.call_id = id.value_or("");
    out.role = "tool";
  }
  return out;
}

// Results get the names of their calls; what does not belong together is kept, and told.
void match_results(std::vector<chat::Message>& messages, std::vector<std::string>& warnings) {
  std::map<std::string, std::string> open;  // calls by id
  for (size_t i = 0; i < messages.size(); ++i) {
    chat::Message& message = messages[i];
    for (const chat::ToolCall& call : message.calls) open[call.id] = call.name;
    if (message.role != "tool" || message.call_id.empty()) continue;
    const auto call = open.find(message.call_id);
    if (call == open.end()) {
      warnings.push_back(fmt::format("messages[{}].tool_call_id=no call has this id", i));
      continue;
    }
    if (message.tool_name.empty()) message.tool_name = call->second;
    open.erase(call);
  }
  if (!open.empty()) warnings.push_back(fmt::format("messages={} calls have no result", open.size()));
}

}  // namespace

Result<std::string> decode_content(const Fields& fields, std::string_view name) {
  std::string content;
  const json::value* value = fields.find(name);
  if (value == nullptr) return content;
  if (value->is_string()) return std::string(value->get_string());
  if (!value->is_array()) return fields.wrong_type(name, "a string or a list of parts", *value);
  for (size_t i = 0; i < value->get_array().size(); ++i) {
    const json::value& part = value->get_array()[i];
    const std::string where = fmt::format("{}[{}]", name, i);
    if (!part.is_object()) return fields.wrong_type(where, "an object", part);
    TRY(add_part(fields.inner(part.get_object(), where), content));
  }
  return content;
}

std::string repaired_arguments(const json::value* arguments, std::string_view path,
                               std::vector<std::string>& warnings) {
  if (arguments == nullptr) return "{}";
  if (arguments->is_object()) return json::serialize(*arguments);
  const std::string text = arguments->is_string() ? std::string(arguments->get_string()) : json::serialize(*arguments);
  if (text.find_first_not_of(" \t\r\n") == std::string::npos) return "{}";
  boost::system::error_code fault;
  json::parse_options options;
  options.max_depth = kMost_depth;
  const json::value parsed = json::parse(text, fault, {}, options);
  if (!fault && parsed.is_object()) return text;
  // An answer that was cut: refused, it would stand in the way of the whole conversation for ever.
  warnings.push_back(fmt::format("{}=they are no JSON object, and given to the model as a text", path));
  return json::serialize(json::object{{"_raw", text}});
}

Result<std::vector<chat::Message>> decode_messages(const Fields& fields, std::vector<std::string>& warnings) {
  ASSIGN_OR_RETURN(const json::array* list, fields.array("messages"));
  if (list == nullptr)
    return fields.refuse("messages", "missing_required_parameter", "Missing required parameter: 'messages'.");
  if (list->empty()) return fields.refuse("messages", "invalid_value", "[] is too short - 'messages'");
  std::vector<chat::Message> messages;
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string where = fmt::format("messages[{}]", i);
    if (!list->at(i).is_object()) return fields.wrong_type(where, "an object", list->at(i));
    ASSIGN_OR_RETURN(chat::Message message, decode_message(fields.inner(list->at(i).get_object(), where), warnings));
    messages.push_back(std::move(message));
  }
  match_results(messages, warnings);
  return messages;
}

}  // namespace hearth::api::openai
