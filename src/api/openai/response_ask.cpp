#include "api/openai/response_ask.h"

#include <algorithm>

#include "api/pictures.h"
#include "base/error.h"
#include "base/outside_text.h"
#include "base/random.h"

namespace hearth::api::openai {
namespace {

namespace json = boost::json;

constexpr size_t kId_letters = 32;

Status decode_text(const Fields& fields, ResponseAsk& out) {
  ASSIGN_OR_RETURN(const json::object* text, fields.object("text"));
  if (text == nullptr) return {};
  const Fields inner = fields.inner(*text, "text");
  ASSIGN_OR_RETURN(const json::object* format, inner.object("format"));
  if (format != nullptr) TRY(decode_form(inner.inner(*format, "format"), out.request.format));
  if (inner.find("verbosity") != nullptr) out.form.warnings.emplace_back("text.verbosity=it has no effect here");
  return {};
}

Status decode_include(const Fields& fields, ResponseAsk& out) {
  constexpr std::string_view kKnown[] = {"reasoning.encrypted_content",    "message.output_text.logprobs",
                                         "message.input_image.image_url",  "computer_call_output.output.image_url",
                                         "file_search_call.results",       "web_search_call.results",
                                         "web_search_call.action.sources", "code_interpreter_call.outputs"};
  ASSIGN_OR_RETURN(const auto includes, fields.texts("include"));
  bool logprobs = false;
  for (const std::string& include : includes) {
    if (std::ranges::find(kKnown, include) == std::end(kKnown))
      return fields.refuse("include", "invalid_value", "include: \"{}\" is not known",
                           printable(include.substr(0, 80)));
    out.form.encrypts_reasoning = out.form.encrypts_reasoning || include == kKnown[0];
    logprobs = logprobs || include == kKnown[1];
  }
  ASSIGN_OR_RETURN(const auto most, fields.integer("top_logprobs", 0, sampling::kMost_logprobs));
  out.form.logprobs = logprobs || most.value_or(0) > 0;
  if (out.form.logprobs) out.request.settings.logprobs = static_cast<int>(most.value_or(0));
  return {};
}

// The conversation: what was said before, and this request's input.
Status decode_input(const Fields& fields, const FindResponse& previous, ResponseAsk& out) {
  ASSIGN_OR_RETURN(const auto id, fields.text("previous_response_id"));
  if (id) {
    const auto stored = previous(*id);
    if (!stored)
      return fields.refuse("previous_response_id", "previous_response_not_found",
                           "Previous response with id '{}' not found.", printable(id->substr(0, 100)));
    out.form.context = stored->context;
    out.form.context.insert(out.form.context.end(), stored->output.begin(), stored->output.end());
  }
  out.form.input_from = out.form.context.size();
  const json::value* input = fields.find("input");
  if (input == nullptr)
    return fields.refuse("input", "missing_required_parameter", "Missing required parameter: 'input'.");
  const auto add = [&](json::value item) {
    if (item.is_object() && !item.get_object().contains("id"))
      item.get_object()["id"] = "msg_" + random_letters(kId_letters);
    out.form.context.push_back(std::make_shared<const json::value>(std::move(item)));
  };
  if (input->is_string()) {
    add(json::object{{"type", "message"},
                     {"role", "user"},
                     {"content", json::array{json::object{{"type", "input_text"}, {"text", input->get_string()}}}}});
    return {};
  }
  if (!input->is_array()) return fields.wrong_type("input", "a string or a list of items", *input);
  for (size_t i = 0; i < input->get_array().size(); ++i) {
    const json::value& item = input->get_array()[i];
    const json::value* type = item.is_object() ? item.get_object().if_contains("type") : nullptr;
    if (type == nullptr || *type != "item_reference") {
      add(item);
      continue;
    }
    // Of what the chain holds.
    const json::value* wanted = item.get_object().if_contains("id");
    const auto same = std::ranges::find_if(out.form.context, [&](const auto& known) {
      const json::value* its = known->is_object() ? known->get_object().if_contains("id") : nullptr;
      return its != nullptr && wanted != nullptr && *its == *wanted;
    });
    if (same == out.form.context.end())
      return fields.refuse(fmt::format("input[{}].id", i), "invalid_value", "input[{}]: there is no such item here", i);
    out.form.context.push_back(*same);
  }
  return {};
}

Status decode_rest(const Fields& fields, ResponseAsk& out) {
  TRY(refuse_known(fields, {"conversation", "prompt"}));
  ASSIGN_OR_RETURN(const auto background, fields.boolean("background"));
  if (background.value_or(false))
    return fields.refuse("background", "unsupported_value", "responses in the background are not supported");
  ASSIGN_OR_RETURN(const auto store, fields.boolean("store"));
  out.stores = store.value_or(true);
  TRY(fields.integer("max_tool_calls"));
  if (fields.find("context_management") != nullptr)
    out.form.warnings.emplace_back("context_management=the conversation is not edited");
  ASSIGN_OR_RETURN(const json::object* reasoning, fields.object("reasoning"));
  if (reasoning != nullptr) {
    const Fields inner = fields.inner(*reasoning, "reasoning");
    for (const char* name : {"summary", "generate_summary"}) {
      ASSIGN_OR_RETURN(const auto summary, inner.text(name));
      out.form.summarises = out.form.summarises || (summary && *summary != "none");
    }
  }
  warn_unknown(fields,
               {"input",
                "instructions",
                "max_output_tokens",
                "top_logprobs",
                "tools",
                "tool_choice",
                "parallel_tool_calls",
                "max_tool_calls",
                "text",
                "reasoning",
                "include",
                "store",
                "previous_response_id",
                "background",
                "truncation",
                "context_management",
                "client_metadata",
                "prompt_cache_options",
                "moderation",
                "reasoning_effort",
                "think",
                "enable_thinking"},
               out.form.warnings);
  return {};
}

json::value or_null(const Fields& fields, const char* name) {
  const json::value* value = fields.find(name);
  return value == nullptr ? json::value(nullptr) : *value;
}

json::value or_else(const Fields& fields, const char* name, json::value otherwise) {
  const json::value* value = fields.find(name);
  return value == nullptr ? std::move(otherwise) : *value;
}

// All members of a response that the request decides; null where it is silent.
json::object echo_of(const Fields& fields, const ResponseAsk& out) {
  json::object echo;
  for (const char* name : {"instructions", "max_output_tokens", "max_tool_calls", "previous_response_id",
                           "prompt_cache_key", "safety_identifier", "user"})
    echo[name] = or_null(fields, name);
  echo["model"] = out.form.reply.model;
  echo["background"] = false;
  echo["parallel_tool_calls"] = or_else(fields, "parallel_tool_calls", true);
  const json::value given = or_else(fields, "reasoning", json::object());
  const auto member = [&](const char* name) {
    const json::value* value = given.is_object() ? given.get_object().if_contains(name) : nullptr;
    return value == nullptr ? json::value(nullptr) : *value;
  };
  echo["reasoning"] = json::object{{"effort", member("effort")}, {"summary", member("summary")}};
  echo["service_tier"] =
      out.form.reply.service_tier ? json::value(*out.form.reply.service_tier) : json::value("default");
  echo["store"] = out.stores;
  echo["temperature"] = or_else(fields, "temperature", 1.0);
  echo["top_p"] = or_else(fields, "top_p", 1.0);
  echo["top_logprobs"] = or_else(fields, "top_logprobs", 0);
  echo["text"] = or_else(fields, "text", json::object{{"format", json::object{{"type", "text"}}}});
  if (echo["text"].is_object() && !echo["text"].get_object().contains("format"))
    echo["text"].get_object()["format"] = json::object{{"type", "text"}};
  echo["tool_choice"] = or_else(fields, "tool_choice", "auto");
  echo["tools"] = or_else(fields, "tools", json::array());
  echo["truncation"] = or_else(fields, "truncation", "disabled");
  echo["metadata"] = or_else(fields, "metadata", json::object());
  return echo;
}

}  // namespace

Result<ResponseAsk> decode_response(std::string_view body, const FindResponse& previous, Blame* blame) {
  ASSIGN_OR_RETURN(const json::value value, read_object(body));
  ResponseAsk out;
  AnswerRequest& request = out.request;
  const Fields fields(value.get_object(), "", blame, &request.pictures);
  Ask ask;
  TRY(decode_settings(fields, {"max_output_tokens"}, request, ask));
  if (request.count != 1) return fields.refuse("n", "unsupported_value", "a response is one answer");
  TRY(decode_input(fields, previous, out));
  ChatInput input;
  ASSIGN_OR_RETURN(input.messages, messages_of(out.form.context, fields, out.form.input_from, ask.warnings));
  ASSIGN_OR_RETURN(const auto instructions, fields.text("instructions"));
  if (instructions && !instructions->empty())
    input.messages.insert(input.messages.begin(), {.role = "system", .content = *instructions});
  if (input.messages.empty()) return fields.refuse("input", "invalid_value", "input has nothing to answer to");
  TRY(decode_tools(fields, input, ask));
  out.stream = ask.stream;
  out.form.reply = std::move(ask.form);
  out.form.warnings = std::move(ask.warnings);
  TRY(decode_text(fields, out));
  TRY(decode_include(fields, out));
  TRY(decode_thinking(fields, request, out.form.warnings));
  ASSIGN_OR_RETURN(const auto truncation, fields.text("truncation"));
  if (truncation && *truncation != "auto" && *truncation != "disabled")
    return fields.refuse("truncation", "invalid_value", "truncation must be auto or disabled");
  input.drops_oldest = truncation == "auto";
  TRY(decode_rest(fields, out));
  out.form.echo = echo_of(fields, out);
  request.input = std::move(input);
  return out;
}

}  // namespace hearth::api::openai
