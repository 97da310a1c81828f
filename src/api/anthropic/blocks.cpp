// Conversations: blocks as messages.
#include <algorithm>
#include <boost/json.hpp>
#include <map>

#include "api/anthropic/ask.h"
#include "api/opaque.h"
#include "api/pictures.h"
#include "base/error.h"
#include "base/outside_text.h"
#include "chat/picture_marks.h"

namespace hearth::api::anthropic {
namespace {

namespace json = boost::json;
using Warnings = std::vector<std::string>;

// Between texts of one turn, wherever clients put the borders of blocks and messages: an older reminder that is split
// or merged is the same prompt.
constexpr std::string_view kBetween = "\n\n";
// What Claude Code puts in front, and changes with each request: it would cost all that is cached.
constexpr std::string_view kAttribution = "x-anthropic-";

bool begins_with_picture(std::string_view text) {
  const auto mark = chat::find_picture_mark(text);
  return mark && mark->at == 0;
}

bool ends_with_picture(std::string_view text) {
  const size_t at = text.rfind('[');
  return text.ends_with(']') && chat::find_picture_mark(text, at).has_value();
}

// Pictures stand beside the text without anything between, as in the other dialects.
void append(std::string& text, std::string_view more, std::string_view separator) {
  if (more.empty()) return;
  if (!text.empty() && !ends_with_picture(text) && !begins_with_picture(more)) text += separator;
  text += more;
}

// Ids of ours are given back to templates as the model's own.
std::string own_id(const std::string& id) {
  constexpr std::string_view kPrefix = "toolu_", kOurs = "call_";
  constexpr size_t kLong = 24, kShort = 9;
  if (!id.starts_with(kPrefix)) return id;
  const std::string rest = id.substr(kPrefix.size());
  if (rest.size() == kLong) return std::string(kOurs) + rest;
  return rest.size() == kShort ? rest : id;
}

Result<std::string> document_text(const Fields& block, Warnings& warnings) {
  std::string text;
  ASSIGN_OR_RETURN(const auto title, block.text("title"));
  ASSIGN_OR_RETURN(const auto context, block.text("context"));
  append(text, title.value_or(""), "\n");
  append(text, context.value_or(""), "\n");
  ASSIGN_OR_RETURN(const json::object* source, block.object("source"));
  if (source == nullptr) return required(block, "source");
  const Fields inner = block.inner(*source, "source");
  ASSIGN_OR_RETURN(const auto type, inner.text("type"));
  if (type == "text") {
    ASSIGN_OR_RETURN(const auto data, inner.text("data"));
    append(text, data.value_or(""), "\n");
    return text;
  }
  if (type == "content") {
    ASSIGN_OR_RETURN(const std::string content, text_of_blocks(inner, "content", "\n", warnings));
    append(text, content, "\n");
    return text;
  }
  return block.refuse("source", "", "{}: only documents that are texts can be read here, send the text of this one",
                      block.path("source"));
}

Result<std::string> search_result_text(const Fields& block, Warnings& warnings) {
  std::string text;
  for (const char* name : {"title", "source"}) {
    ASSIGN_OR_RETURN(const auto part, block.text(name));
    append(text, part.value_or(""), "\n");
  }
  ASSIGN_OR_RETURN(const std::string content, text_of_blocks(block, "content", "\n", warnings));
  append(text, content, "\n");
  return text;
}

bool is_foreign(const std::string& type) {
  for (const char* ending : {"_tool_result", "_tool_use"})
    if (type.ends_with(ending)) return true;
  return false;
}

// {"source": {"type": "base64", "media_type": "image/png", "data": "..."}}, or {"type": "url", "url": "https://..."}.
Result<std::string> picture_mark(const Fields& block) {
  ASSIGN_OR_RETURN(const json::object* source, block.object("source"));
  if (source == nullptr) return required(block, "source");
  const Fields inner = block.inner(*source, "source");
  ASSIGN_OR_RETURN(const auto kind, inner.text("type"));
  const bool is_url = kind.value_or("") == "url";
  if (!is_url && kind.value_or("") != "base64")
    return inner.refuse("type", "", "{}: pictures come in base64 or by url here; files are not stored",
                        inner.path("type"));
  const char* const name = is_url ? "url" : "data";
  ASSIGN_OR_RETURN(const auto data, inner.text(name));
  if (!data) return required(inner, name);
  if (block.pictures() == nullptr) return block.refuse("type", "", "pictures are not read here");
  auto mark = is_url ? block.pictures()->add_url(*data, inner.path(name))
                     : block.pictures()->add_base64(*data, inner.path(name));
  if (!mark) return inner.refuse(name, "", "{}", mark.error().message);
  return mark;
}

// Of a block that is neither a call, nor its result, nor reasoning. Nothing: there is no text in it.
Result<std::string> text_of_block(const Fields& block, const std::string& type, Warnings& warnings) {
  if (type == "text") {
    ASSIGN_OR_RETURN(const auto text, block.text("text"));
    if (!text) return required(block, "text");
    return *text;
  }
  if (type == "image") return picture_mark(block);
  if (type == "document") return document_text(block, warnings);
  if (type == "search_result") return search_result_text(block, warnings);
  if (type == "tool_reference") {
    ASSIGN_OR_RETURN(const auto name, block.text("tool_name"));
    return "Tool loaded: " + name.value_or("");
  }
  if (type == "mid_conv_system" || type == "compaction") return text_of_blocks(block, "content", kBetween, warnings);
  if (type == "tool_addition" || type == "tool_removal") {
    warnings.push_back(fmt::format("{}=all tools are offered", block.path("type")));
    ASSIGN_OR_RETURN(const json::object* tool, block.object("tool"));
    const json::value* name = tool == nullptr ? nullptr : tool->if_contains("name");
    return fmt::format("{}: {}", type == "tool_addition" ? "Tool added" : "Tool removed",
                       name != nullptr && name->is_string() ? std::string(name->get_string()) : "?");
  }
  // The history of another server.
  if (is_foreign(type)) {
    warnings.push_back(fmt::format("{}=it is given to the model as a text", block.path("type")));
    json::object rest = block.all();
    for (const char* key : {"cache_control", "id", "tool_use_id"}) rest.stable_erase(key);
    return json::serialize(rest);
  }
  warnings.push_back(fmt::format("{}=\"{}\" is left out", block.path("type"), printable(type.substr(0, 40))));
  return std::string();
}

Result<std::string> type_of(const Fields& block) {
  ASSIGN_OR_RETURN(const auto type, block.text("type"));
  if (!type) return required(block, "type");
  return *type;
}

Status add_call(const Fields& block, chat::Message& message, Warnings& warnings) {
  chat::ToolCall call;
  ASSIGN_OR_RETURN(const auto id, block.text("id"));
  if (!id) return required(block, "id");
  ASSIGN_OR_RETURN(const auto name, block.text("name"));
  if (!name || name->empty()) return required(block, "name");
  call.id = own_id(*id);
  call.name = *name;
  const json::value* input = block.find("input");
  if (input != nullptr && input->is_object()) {
    call.arguments = json::serialize(*input);
  } else {
    boost::system::error_code fault;
    const json::value parsed =
        input != nullptr && input->is_string() ? json::parse(input->get_string(), fault) : json::value();
    const bool object = !fault && parsed.is_object();
    call.arguments = object             ? json::serialize(parsed)
                     : input == nullptr ? "{}"
                                        : json::serialize(json::object{{"_raw", *input}});
    warnings.push_back(fmt::format("{}=it is no object, and was repaired", block.path("input")));
  }
  message.calls.push_back(std::move(call));
  return {};
}

Status add_thinking(const Fields& block, chat::Message& message) {
  ASSIGN_OR_RETURN(const auto thinking, block.text("thinking"));
  std::string text = thinking.value_or("");
  ASSIGN_OR_RETURN(const auto signature, block.text("signature"));
  if (text.empty() && signature) text = unseal(*signature).value_or("");
  append(message.reasoning, text, kBetween);
  return {};
}

Result<chat::Message> tool_result(const Fields& block, Warnings& warnings) {
  chat::Message message{.role = "tool", .content = {}};
  ASSIGN_OR_RETURN(const auto id, block.text("tool_use_id"));
  if (!id) return required(block, "tool_use_id");
  message.call_id = own_id(*id);
  const json::value* content = block.find("content");
  if (content != nullptr && content->is_array()) {
    const json::array& list = content->get_array();
    for (size_t i = 0; i < list.size(); ++i) {
      const std::string where = fmt::format("content.{}", i);
      if (!list[i].is_object()) return block.wrong_type(where, "an object", list[i]);
      const Fields inner = block.inner(list[i].get_object(), where);
      ASSIGN_OR_RETURN(const std::string type, type_of(inner));
      ASSIGN_OR_RETURN(const std::string text, text_of_block(inner, type, warnings));
      append(message.content, text, "\n");
    }
  } else {
    ASSIGN_OR_RETURN(const auto text, block.text("content"));
    message.content = text.value_or("");
  }
  ASSIGN_OR_RETURN(const auto failed, block.boolean("is_error"));
  if (failed.value_or(false) && !message.content.starts_with("Error")) message.content = "Error: " + message.content;
  return message;
}

// Turns of a conversation in the order in which templates want them.
class Reader {
 public:
  Reader(ChatInput& input, Warnings& warnings) : out_(input.messages), warnings_(warnings) {}

  void add_system(const std::string& text) {
    if (text.empty()) return;
    out_.push_back({.role = "system", .content = text});
  }

  Status add(const Fields& message) {
    ASSIGN_OR_RETURN(const auto given, message.text("role"));
    if (!given) return required(message, "role");
    std::string role = *given;
    if (role != "user" && role != "assistant" && role != "system") {
      warnings_.push_back(fmt::format("{}=\"{}\" counts as user", message.path("role"), printable(role.substr(0, 40))));
      role = "user";
    }
    if (role == "assistant" && out_.empty())
      warnings_.push_back(message.path("role") + "=the first is the assistant's");
    const json::value* content = message.find("content");
    if (content == nullptr) return required(message, "content");
    if (content->is_string()) {
      add_text(role, std::string(content->get_string()));
      return {};
    }
    if (!content->is_array()) return message.wrong_type("content", "a string or a list of blocks", *content);
    return role == "assistant" ? add_answer(message, content->get_array())
                               : add_turn(message, role, content->get_array());
  }

  // Calls in the order that they were made in; so are their results.
  void match() {
    std::map<std::string, std::string> names;
    for (chat::Message& message : out_) {
      for (const chat::ToolCall& call : message.calls) names[call.id] = call.name;
      if (message.role != "tool") continue;
      if (const auto call = names.find(message.call_id); call != names.end())
        message.tool_name = call->second;
      else
        warnings_.push_back("tool_use_id=no call has the id " + printable(message.call_id.substr(0, 64)));
    }
    for (size_t i = 0; i < out_.size(); ++i)
      if (!out_[i].calls.empty()) sort_results(i);
  }

 private:
  void add_text(const std::string& role, const std::string& text) {
    if (text.empty() && !(out_.empty() && role == "user")) return;
    const bool continues = !out_.empty() && out_.back().role == role;
    if (!continues) return out_.push_back({.role = role, .content = text});
    chat::Message& last = out_.back();
    if (role == "assistant" && !last.calls.empty()) return out_.push_back({.role = role, .content = text});
    append(last.content, text, kBetween);
  }

  Status add_answer(const Fields& message, const json::array& blocks) {
    const bool continues = !out_.empty() && out_.back().role == "assistant";
    if (!continues) out_.push_back({.role = "assistant", .content = {}});
    chat::Message& answer = out_.back();
    for (size_t i = 0; i < blocks.size(); ++i) {
      const std::string where = fmt::format("content.{}", i);
      if (!blocks[i].is_object()) return message.wrong_type(where, "an object", blocks[i]);
      const Fields block = message.inner(blocks[i].get_object(), where);
      ASSIGN_OR_RETURN(const std::string type, type_of(block));
      if (type == "thinking") {
        TRY(add_thinking(block, answer));
      } else if (type == "redacted_thinking") {
        warnings_.push_back(block.path("type") + "=what nobody can read is left out");
      } else if (type == "tool_use") {
        TRY(add_call(block, answer, warnings_));
      } else {
        ASSIGN_OR_RETURN(const std::string text, text_of_block(block, type, warnings_));
        if (!text.empty() && !answer.calls.empty())
          warnings_.push_back(block.path("type") + "=the text stands before the calls");
        append(answer.content, text, kBetween);
      }
    }
    if (answer.content.empty() && answer.reasoning.empty() && answer.calls.empty() && !continues) out_.pop_back();
    return {};
  }

  // Results come first, next to their calls; what the user says follows.
  Status add_turn(const Fields& message, const std::string& role, const json::array& blocks) {
    std::string said;
    bool moved = false;
    std::vector<chat::Message> results;
    for (size_t i = 0; i < blocks.size(); ++i) {
      const std::string where = fmt::format("content.{}", i);
      if (!blocks[i].is_object()) return message.wrong_type(where, "an object", blocks[i]);
      const Fields block = message.inner(blocks[i].get_object(), where);
      ASSIGN_OR_RETURN(const std::string type, type_of(block));
      if (type == "tool_result") {
        moved = moved || !said.empty();
        ASSIGN_OR_RETURN(chat::Message result, tool_result(block, warnings_));
        results.push_back(std::move(result));
        continue;
      }
      ASSIGN_OR_RETURN(const std::string text, text_of_block(block, type, warnings_));
      append(said, text, kBetween);
    }
    if (moved) warnings_.push_back(message.path("content") + "=text before results stands behind them");
    const bool any = !results.empty();
    for (chat::Message& result : results) out_.push_back(std::move(result));
    if (!said.empty() || !any) add_text(role, said);
    return {};
  }

  // Templates that know no ids go by the order.
  void sort_results(size_t answer) {
    size_t end = answer + 1;
    while (end < out_.size() && out_[end].role == "tool") ++end;
    const auto order = [&](const chat::Message& result) {
      const auto& calls = out_[answer].calls;
      return std::ranges::find(calls, result.call_id, &chat::ToolCall::id) - calls.begin();
    };
    std::ranges::stable_sort(out_.begin() + static_cast<ptrdiff_t>(answer) + 1,
                             out_.begin() + static_cast<ptrdiff_t>(end), {}, order);
  }

  std::vector<chat::Message>& out_;
  Warnings& warnings_;
};

Result<std::string> system_text(const Fields& fields, Warnings& warnings) {
  const json::value* system = fields.find("system");
  if (system == nullptr) return std::string();
  if (system->is_string()) return std::string(system->get_string());
  if (!system->is_array()) return fields.wrong_type("system", "a string or a list of text blocks", *system);
  std::string text;
  for (size_t i = 0; i < system->get_array().size(); ++i) {
    const json::value& value = system->get_array()[i];
    const std::string where = fmt::format("system.{}", i);
    if (!value.is_object()) return fields.wrong_type(where, "an object", value);
    const Fields block = fields.inner(value.get_object(), where);
    ASSIGN_OR_RETURN(const std::string type, type_of(block));
    ASSIGN_OR_RETURN(const std::string part, text_of_block(block, type, warnings));
    if (!part.starts_with(kAttribution)) append(text, part, kBetween);
  }
  return text;
}

}  // namespace

Result<std::string> text_of_blocks(const Fields& fields, std::string_view name, std::string_view separator,
                                   Warnings& warnings) {
  const json::value* value = fields.find(name);
  if (value == nullptr) return std::string();
  if (value->is_string()) return std::string(value->get_string());
  if (!value->is_array()) return fields.wrong_type(name, "a string or a list of blocks", *value);
  std::string text;
  for (size_t i = 0; i < value->get_array().size(); ++i) {
    const json::value& part = value->get_array()[i];
    const std::string where = fmt::format("{}.{}", name, i);
    if (!part.is_object()) return fields.wrong_type(where, "an object", part);
    const Fields block = fields.inner(part.get_object(), where);
    ASSIGN_OR_RETURN(const std::string type, type_of(block));
    ASSIGN_OR_RETURN(const std::string more, text_of_block(block, type, warnings));
    append(text, more, separator);
  }
  return text;
}

Status decode_conversation(const Fields& fields, ChatInput& input, Warnings& warnings) {
  ASSIGN_OR_RETURN(const json::array* messages, fields.array("messages"));
  if (messages == nullptr) return required(fields, "messages");
  if (messages->empty()) return fields.refuse("messages", "", "messages: at least one message is required");
  Reader reader(input, warnings);
  ASSIGN_OR_RETURN(const std::string system, system_text(fields, warnings));
  reader.add_system(system);
  for (size_t i = 0; i < messages->size(); ++i) {
    const std::string where = fmt::format("messages.{}", i);
    if (!messages->at(i).is_object()) return fields.wrong_type(where, "an object", messages->at(i));
    TRY(reader.add(fields.inner(messages->at(i).get_object(), where)));
  }
  reader.match();
  return {};
}

}  // namespace hearth::api::anthropic
