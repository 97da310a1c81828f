#include <algorithm>
#include <boost/json.hpp>

#include "api/anthropic/ask.h"
#include "api/pictures.h"
#include "base/error.h"
#include "base/outside_text.h"

namespace hearth::api::anthropic {
namespace {

namespace json = boost::json;

constexpr size_t kMost_stops = 32;
constexpr int64_t kLeast_budget = 1024;

void put(Settings& settings, const char* option, double value) {
  settings.values.emplace_back(option, fmt::format("{}", value));
}

Status decode_limits(const Fields& fields, bool counts_only, Settings& settings) {
  ASSIGN_OR_RETURN(const auto most, fields.integer("max_tokens", 0, INT64_MAX));
  if (!most && !counts_only) return required(fields, "max_tokens");
  if (most) settings.values.emplace_back("num_predict", fmt::format("{}", std::min<int64_t>(*most, INT32_MAX)));
  return {};
}

Status decode_sampling(const Fields& fields, Ask& ask) {
  Settings& settings = ask.request.settings;
  ASSIGN_OR_RETURN(const auto temperature, fields.number("temperature", 0, 2));
  if (temperature) put(settings, "temperature", *temperature);
  if (temperature.value_or(0) > 1) ask.warnings.emplace_back("temperature=above 1 other servers refuse it");
  ASSIGN_OR_RETURN(const auto top_p, fields.number("top_p", 0, 1));
  if (top_p) put(settings, "top_p", *top_p == 0 ? 1 : *top_p);
  ASSIGN_OR_RETURN(const auto top_k, fields.integer("top_k", 0, INT32_MAX));
  if (top_k) settings.values.emplace_back("top_k", fmt::format("{}", *top_k));
  ASSIGN_OR_RETURN(auto stops, fields.texts("stop_sequences"));
  if (stops.size() > kMost_stops)
    return fields.refuse("stop_sequences", "", "stop_sequences: at most {} are allowed", kMost_stops);
  if (std::erase(stops, std::string()) > 0) ask.warnings.emplace_back("stop_sequences=empty texts are ignored");
  for (const std::string& stop : stops) {
    if (stop.size() > sampling::kMost_stop_bytes)
      return fields.refuse("stop_sequences", "", "stop_sequences: a text is longer than {} bytes",
                           sampling::kMost_stop_bytes);
  }
  if (!stops.empty()) settings.stop = std::move(stops);
  return {};
}

// Absent is off: side requests of Claude Code rely on it.
Status decode_thinking(const Fields& fields, Ask& ask) {
  Thinking& thinking = ask.request.thinking;
  thinking.on = false;
  thinking.required = false;
  ASSIGN_OR_RETURN(const json::object* object, fields.object("thinking"));
  if (object == nullptr) return {};
  const Fields inner = fields.inner(*object, "thinking");
  ASSIGN_OR_RETURN(const auto type, inner.text("type"));
  if (!type) return required(inner, "type");
  if (*type == "disabled") return {};
  if (*type != "enabled" && *type != "adaptive")
    return inner.refuse("type", "", "thinking.type: \"{}\" is none of enabled, disabled and adaptive",
                        printable(*type));
  thinking.on = ask.form.thinking = true;
  ASSIGN_OR_RETURN(const auto display, inner.text("display"));
  ask.form.omits_thinking = display == "omitted";
  if (*type == "adaptive") return {};
  ASSIGN_OR_RETURN(const auto budget, inner.integer("budget_tokens"));
  ASSIGN_OR_RETURN(const auto all, fields.integer("max_tokens"));
  int64_t most = std::clamp<int64_t>(budget.value_or(0), kLeast_budget, INT32_MAX);
  if (all && *all > 1) most = std::min(most, *all - 1);  // the answer gets something, too
  if (most != budget) ask.warnings.push_back(fmt::format("thinking.budget_tokens={} counts", most));
  thinking.most_tokens = static_cast<uint32_t>(most);
  return {};
}

Status take_format(const Fields& fields, const char* name, Format& format) {
  ASSIGN_OR_RETURN(const json::object* object, fields.object(name));
  if (object == nullptr) return {};
  const Fields inner = fields.inner(*object, name);
  ASSIGN_OR_RETURN(const auto type, inner.text("type"));
  if (type != "json_schema") return inner.refuse("type", "", "{}: must be json_schema", inner.path("type"));
  const json::value* schema = inner.find("schema");
  if (schema == nullptr) return required(inner, "schema");
  format.kind = Format::Kind::kSchema;
  format.text = json::serialize(*schema);
  return {};
}

Status decode_output(const Fields& fields, Ask& ask) {
  TRY(take_format(fields, "output_format", ask.request.format));
  ASSIGN_OR_RETURN(const json::object* object, fields.object("output_config"));
  if (object == nullptr) return {};
  const Fields inner = fields.inner(*object, "output_config");
  TRY(take_format(inner, "format", ask.request.format));
  ASSIGN_OR_RETURN(const auto effort, inner.text("effort"));
  constexpr std::string_view kEfforts[] = {"low", "medium", "high", "xhigh", "max"};
  if (effort && std::ranges::find(kEfforts, *effort) == std::end(kEfforts))
    return inner.refuse("effort", "", "output_config.effort: \"{}\" is none of {}", printable(*effort),
                        fmt::join(kEfforts, ", "));
  // Alone it does not switch thinking on.
  if (effort && ask.request.thinking.on.value_or(false)) ask.request.thinking.level = *effort;
  for (const auto& member : *object) {
    const std::string_view key = {member.key().data(), member.key().size()};
    if (key != "effort" && key != "format")
      ask.warnings.push_back(fmt::format("output_config.{}=it has no effect here", printable(key)));
  }
  return {};
}

Status decode_rest(const Fields& fields, Ask& ask) {
  // Without what was said before, the answer would be to something else; clients then send all of it.
  if (fields.find("thread") != nullptr)
    return fields.refuse("thread", kThread_code, "thread: this server keeps no conversations; send all messages");
  ASSIGN_OR_RETURN(const json::object* metadata, fields.object("metadata"));
  if (metadata != nullptr) {
    ASSIGN_OR_RETURN(const auto user, fields.inner(*metadata, "metadata").text("user_id"));
    ask.request.caller.user = user.value_or("");
  }
  ASSIGN_OR_RETURN(const json::object* management, fields.object("context_management"));
  ask.form.edits_context = management != nullptr;
  if (management != nullptr && management->contains("edits"))
    ask.warnings.emplace_back("context_management=the conversation is not edited");
  ASSIGN_OR_RETURN(const json::array* servers, fields.array("mcp_servers"));
  if (servers != nullptr && !servers->empty())
    return fields.refuse("mcp_servers", "", "mcp_servers: this server calls no tools by itself");
  constexpr std::string_view kNo_effect[] = {"container", "inference_geo", "speed", "fallbacks", "user_profile_id"};
  constexpr std::string_view kKnown[] = {
      "model",         "messages",      "max_tokens",     "system",       "stream",        "temperature",
      "top_p",         "top_k",         "stop_sequences", "tools",        "tool_choice",   "thinking",
      "output_config", "output_format", "metadata",       "service_tier", "cache_control", "context_management",
      "mcp_servers",   "betas"};
  for (const auto& member : fields.all()) {
    const std::string_view key(member.key().data(), member.key().size());
    if (member.value().is_null() || std::ranges::find(kKnown, key) != std::end(kKnown)) continue;
    const bool no_effect = std::ranges::find(kNo_effect, key) != std::end(kNo_effect);
    constexpr size_t kMost_shown = 64;
    ask.warnings.push_back(fmt::format("{}={}", printable(key.substr(0, kMost_shown)),
                                       no_effect ? "it has no effect here" : "it is not known"));
  }
  return {};
}

// The beginning of an answer cannot stand before thinking or a call that is demanded.
Status check_beginning(const Fields& fields, Ask& ask, ChatInput& input) {
  using Mode = ToolChoice::Mode;
  if (input.messages.empty()) return fields.refuse("messages", "", "messages: at least one message is required");
  chat::Message& last = input.messages.back();
  if (last.role != "assistant" || !last.calls.empty()) return {};
  if (last.content.empty()) {
    input.continues = false;
    return {};
  }
  const bool demands = input.choice.mode == Mode::kRequired || input.choice.mode == Mode::kNamed;
  if (ask.form.thinking || demands)
    return fields.refuse("messages", "", "messages: the last one is the assistant's, and cannot be continued with {}",
                         demands ? "a tool that must be called" : "thinking");
  last.content.resize(last.content.find_last_not_of(" \t\r\n") + 1);
  return {};
}

}  // namespace

Error required(const Fields& fields, std::string_view name) {
  return fields.refuse(name, "", "{}: Field required", fields.path(name));
}

Result<Ask> decode_messages(std::string_view body, bool counts_only, Blame* blame) {
  ASSIGN_OR_RETURN(const json::value value, read_object(body));
  Ask ask;
  const Fields fields(value.get_object(), "", blame, &ask.request.pictures);
  ASSIGN_OR_RETURN(const auto model, fields.text("model"));
  if (!model || model->empty()) return required(fields, "model");
  ask.form.model = ask.request.model = *model;
  // A client's mark for a long context.
  if (constexpr std::string_view kLong = "[1m]"; ask.request.model.ends_with(kLong))
    ask.request.model.resize(ask.request.model.size() - kLong.size());
  ASSIGN_OR_RETURN(const auto stream, fields.boolean("stream"));
  ask.stream = stream.value_or(false);
  TRY(decode_limits(fields, counts_only, ask.request.settings));
  TRY(decode_sampling(fields, ask));
  TRY(decode_thinking(fields, ask));
  TRY(decode_output(fields, ask));
  ChatInput input;
  TRY(decode_conversation(fields, input, ask.warnings));
  TRY(decode_tools(fields, input, ask.warnings));
  TRY(check_beginning(fields, ask, input));
  TRY(decode_rest(fields, ask));
  ask.request.input = std::move(input);
  return ask;
}

}  // namespace hearth::api::anthropic
