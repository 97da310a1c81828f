#include <algorithm>
#include <map>

#include "api/opaque.h"
#include "api/openai/response_ask.h"
#include "base/error.h"
#include "base/outside_text.h"
#include "base/random.h"

namespace hearth::api::openai {
namespace {

namespace json = boost::json;
using Warnings = std::vector<std::string>;

// Texts of a list of {"text"}.
std::string texts_of(const json::value* list) {
  std::string text;
  if (list == nullptr || !list->is_array()) return text;
  for (const json::value& part : list->get_array()) {
    const json::value* one = part.is_object() ? part.get_object().if_contains("text") : nullptr;
    if (one == nullptr || !one->is_string()) continue;
    if (!text.empty()) text += "\n\n";
    text += view(one->get_string());
  }
  return text;
}

// Reasoning, messages and calls that follow each other are one answer.
class Turns {
 public:
  explicit Turns(Warnings& warnings) : warnings_(warnings) {}

  Status add(const Fields& item) {
    ASSIGN_OR_RETURN(const auto given, item.text("type"));
    const std::string type = given.value_or(item.find("role") != nullptr ? "message" : "");
    if (type == "message") return add_message(item);
    if (type == "reasoning") return add_reasoning(item);
    if (type == "function_call") return add_call(item, "arguments");
    if (type == "custom_tool_call") return add_call(item, "input");
    if (type == "local_shell_call" || type == "shell_call" || type == "apply_patch_call") return add_call(item, "action");
    if (type.ends_with("_call_output")) return add_output(item);
    if (type == "compaction") {
      ASSIGN_OR_RETURN(const auto sealed, item.text("encrypted_content"));
      const auto text = unseal(sealed.value_or(""));
      if (!text) warnings_.push_back(item.path("encrypted_content") + "=it is another server's, and is left out");
      if (text) messages_.push_back({.role = "user", .content = *text});
      return {};
    }
    warnings_.push_back(fmt::format("{}=\"{}\" is left out", item.path("type"), printable(type.substr(0, 40))));
    return {};
  }

  std::vector<chat::Message> take() {
    std::map<std::string, std::string> names;
    for (chat::Message& message : messages_) {
      for (const chat::ToolCall& call : message.calls) names[call.id] = call.name;
      if (message.role != "tool") continue;
      if (const auto call = names.find(message.call_id); call != names.end())
        message.tool_name = call->second;
      else
        warnings_.push_back("call_id=no call has the id " + printable(message.call_id.substr(0, 64)));
    }
    return std::move(messages_);
  }

 private:
  chat::Message& answer() {
    if (messages_.empty() || messages_.back().role != "assistant")
      messages_.push_back({.role = "assistant", .content = {}});
    return messages_.back();
  }

  Status add_message(const Fields& item) {
    constexpr std::string_view kRoles[] = {"user", "assistant", "system", "developer"};
    ASSIGN_OR_RETURN(const auto role, item.text("role"));
    if (!role || std::ranges::find(kRoles, *role) == std::end(kRoles))
      return item.refuse("role", "invalid_value", "{} must be one of {}", item.path("role"), fmt::join(kRoles, ", "));
    ASSIGN_OR_RETURN(const std::string content, decode_content(item, "content"));
    if (*role != "assistant") {
      messages_.push_back({.role = *role, .content = content});
      return {};
    }
    chat::Message& message = answer();
    if (!message.content.empty() && !content.empty()) message.content += "\n\n";
    message.content += content;
    return {};
  }

  Status add_reasoning(const Fields& item) {
    std::string text = texts_of(item.find("content"));
    if (text.empty()) text = texts_of(item.find("summary"));
    ASSIGN_OR_RETURN(const auto sealed, item.text("encrypted_content"));
    if (sealed) {
      const auto own = unseal(*sealed);
      if (own) text = *own;
      if (!own) warnings_.push_back(item.path("encrypted_content") + "=it is another server's, and is left out");
    }
    if (text.empty()) return {};
    chat::Message& message = answer();
    if (!message.reasoning.empty()) message.reasoning += "\n\n";
    message.reasoning += text;
    return {};
  }

  Status add_call(const Fields& item, const char* input) {
    chat::ToolCall call;
    ASSIGN_OR_RETURN(const auto id, item.text(item.find("call_id") != nullptr ? "call_id" : "id"));
    ASSIGN_OR_RETURN(const auto name, item.text("name"));
    ASSIGN_OR_RETURN(const auto space, item.text("namespace"));
    ASSIGN_OR_RETURN(const auto type, item.text("type"));
    call.id = id.value_or("");
    call.name = name.value_or(type.value_or("").substr(0, type.value_or("").rfind("_call")));
    if (space) call.name = joined_name(*space, call.name);
    if (std::string_view(input) == "input") {
      ASSIGN_OR_RETURN(const auto text, item.text("input"));
      call.arguments = json::serialize(json::object{{"input", text.value_or("")}});
    } else {
      call.arguments = repaired_arguments(item.find(input), item.path(input), warnings_);
    }
    answer().calls.push_back(std::move(call));
    return {};
  }

  Status add_output(const Fields& item) {
    chat::Message message{.role = "tool", .content = {}};
    ASSIGN_OR_RETURN(const auto id, item.text("call_id"));
    if (!id) return item.refuse("call_id", "missing_required_parameter", "{} is missing", item.path("call_id"));
    message.call_id = *id;
    const json::value* output = item.find("output");
    if (output != nullptr && output->is_object()) {
      message.content = json::serialize(*output);
    } else {
      ASSIGN_OR_RETURN(message.content, decode_content(item, "output"));
    }
    messages_.push_back(std::move(message));
    return {};
  }

  Warnings& warnings_;
  std::vector<chat::Message> messages_;
};

}  // namespace

std::string joined_name(const std::string& space, const std::string& name) {
  constexpr size_t kMost = 64;
  const std::string joined = space + "__" + name;
  return joined.size() <= kMost ? joined : joined.substr(joined.size() - kMost);
}

Result<std::vector<chat::Message>> messages_of(const Items& items, const Fields& fields, size_t input_from,
                                               Warnings& warnings) {
  Turns turns(warnings);
  for (size_t i = 0; i < items.size(); ++i) {
    const std::string where = i < input_from ? fmt::format("previous[{}]", i) : fmt::format("input[{}]", i - input_from);
    if (!items[i]->is_object()) return fields.wrong_type(where, "an object", *items[i]);
    TRY(turns.add(fields.inner(items[i]->get_object(), where)));
  }
  return turns.take();
}

}  // namespace hearth::api::openai
