#include "chat/message_form.h"

#include <algorithm>

#include "base/fnv1a.h"
#include "chat/exact_json.h"
#include "chat/json_scanner.h"

namespace hearth::chat {
namespace {

void append_text(std::string_view text, std::string* out) {
  *out += '"';
  append_escaped(text, out);
  *out += '"';
}

void append_member(std::string_view name, std::string_view text, std::string* out) {
  out->append(",\"").append(name).append("\":");
  append_text(text, out);
}

bool is_letter_or_digit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// The same nine letters and digits for the same id, wherever it stands.
std::string nine_characters(const std::string& id) {
  constexpr std::string_view kDigits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  if (id.size() == 9 && std::ranges::all_of(id, is_letter_or_digit)) return id;
  std::string out;
  for (uint64_t hash = fnv1a(id); out.size() < 9; hash /= kDigits.size()) out += kDigits[hash % kDigits.size()];
  return out;
}

void append_arguments(const ToolCall& call, Arguments form, std::string* out) {
  const auto json = as_json(call.arguments);
  const bool is_object = json && json->starts_with('{');
  if (form == Arguments::kObject && is_object) {
    *out += *json;
  } else {
    append_text(call.arguments, out);
  }
}

class Writer {
 public:
  explicit Writer(const MessageForm& form) : form_(form) {}

  void append(const Message& message, std::string* out) const {
    *out += R"({"role":)";
    append_text(message.role, out);
    append_content(message, out);
    if (!message.reasoning.empty() && !form_.reasoning_field.empty())
      append_member(form_.reasoning_field, message.reasoning, out);
    append_calls(message, out);
    if (!message.call_id.empty()) append_member("tool_call_id", id(message.call_id), out);
    if (message.tool_name.empty()) return;
    append_member("name", message.tool_name, out);
    append_member("tool_name", message.tool_name, out);  // what Ollama's templates read
  }

 private:
  std::string id(const std::string& given) const { return form_.nine_character_ids ? nine_characters(given) : given; }

  void append_content(const Message& message, std::string* out) const {
    using Empty = MessageForm::EmptyContent;
    const bool thinks = form_.thinking_blocks && !message.reasoning.empty();
    if (message.content.empty() && !thinks && !message.calls.empty() && form_.empty_content != Empty::kText) {
      if (form_.empty_content == Empty::kNull) *out += R"(,"content":null)";
      return;
    }
    if (!form_.content_is_list && !thinks) return append_member("content", message.content, out);
    *out += R"(,"content":[)";
    if (thinks) {
      *out += R"({"type":"thinking")";
      append_member("thinking", message.reasoning, out);
      *out += message.content.empty() ? "}" : "},";
    }
    if (thinks && message.content.empty()) {
      *out += ']';
      return;
    }
    *out += R"({"type":"text")";
    append_member("text", message.content, out);
    *out += "}]";
  }

  void append_calls(const Message& message, std::string* out) const {
    if (message.calls.empty()) return;
    *out += R"(,"tool_calls":[)";
    for (const ToolCall& call : message.calls) {
      if (out->back() != '[') *out += ',';
      *out += R"({"type":"function")";
      if (!call.id.empty()) append_member("id", id(call.id), out);
      *out += R"(,"function":{"name":)";
      append_text(call.name, out);
      *out += R"(,"arguments":)";
      append_arguments(call, form_.arguments, out);
      *out += "}}";
    }
    *out += ']';
  }

  const MessageForm& form_;
};

void complete(boost::json::object* function, const MessageForm& form) {
  if (form.needs_description && !function->contains("description")) (*function)["description"] = "";
  boost::json::value* given = function->if_contains("parameters");
  const bool absent = given == nullptr || !given->is_object();
  if (absent && !form.needs_parameters) return;
  if (absent) (*function)["parameters"] = boost::json::object();
  boost::json::object& parameters = (*function)["parameters"].as_object();
  if (form.needs_type && !parameters.contains("type")) parameters["type"] = "object";
  if (form.needs_properties && !parameters.contains("properties")) parameters["properties"] = boost::json::object();
}

}  // namespace

std::string messages_json(std::span<const Message> messages, const MessageForm& form) {
  const Writer writer(form);
  std::string out = "[";
  for (const Message& message : messages) {
    if (out.size() > 1) out += ',';
    writer.append(message, &out);
    out += '}';
  }
  return out += ']';
}

std::string tools_json(std::span<const Tool> tools, const MessageForm& form) {
  if (tools.empty()) return {};
  std::string out = "[";
  for (const Tool& tool : tools) {
    boost::json::object json = to_json(tool);
    complete(&json["function"].as_object(), form);
    out += (out.size() > 1 ? "," : "") + serialize_exact(json);
  }
  return out += ']';
}

}  // namespace hearth::chat
