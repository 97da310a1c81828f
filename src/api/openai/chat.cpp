#include <algorithm>
#include <boost/json.hpp>

#include "api/openai/ask.h"
#include "api/pictures.h"
#include "base/error.h"

namespace hearth::api::openai {
namespace {

namespace json = boost::json;

Status decode_logprobs(const Fields& fields, Settings& settings) {
  ASSIGN_OR_RETURN(const auto wanted, fields.boolean("logprobs"));
  ASSIGN_OR_RETURN(const auto most, fields.integer("top_logprobs", 0, sampling::kMost_logprobs));
  if (most && !wanted.value_or(false))
    return fields.refuse("top_logprobs", "invalid_value",
                         "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.");
  if (wanted.value_or(false)) settings.logprobs = static_cast<int>(most.value_or(0));
  return {};
}

// What a template gets beside the conversation.
Status decode_variables(const Fields& fields, ChatInput& input, Thinking& thinking) {
  ASSIGN_OR_RETURN(const json::object* variables, fields.object("chat_template_kwargs"));
  json::object rest = variables == nullptr ? json::object() : *variables;
  if (const json::value* on = rest.if_contains("enable_thinking"); on != nullptr && on->is_bool()) {
    if (thinking.on && *thinking.on != on->get_bool())
      return fields.refuse("chat_template_kwargs.enable_thinking", "invalid_value",
                           "chat_template_kwargs.enable_thinking contradicts reasoning_effort");
    thinking.on = on->get_bool();
    thinking.required = false;
    rest.erase("enable_thinking");
  }
  ASSIGN_OR_RETURN(const json::array* documents, fields.array("documents"));
  if (documents != nullptr) rest["documents"] = *documents;
  if (rest.empty()) return {};
  const std::string text = json::serialize(rest);
  input.variables = text.substr(1, text.size() - 2);
  return {};
}

Status decode_beginning(const Fields& fields, ChatInput& input, const AnswerRequest& request) {
  ASSIGN_OR_RETURN(const auto continues, fields.boolean("continue_final_message"));
  ASSIGN_OR_RETURN(const auto opens, fields.boolean("add_generation_prompt"));
  if (continues.value_or(false) && opens.value_or(false))
    return fields.refuse("continue_final_message", "invalid_value",
                         "continue_final_message and add_generation_prompt cannot both be true");
  input.continues = continues;
  if (opens.value_or(false)) input.continues = false;
  const chat::Message& last = input.messages.back();
  const bool begun = last.role == "assistant" && last.calls.empty() && input.continues.value_or(true);
  if (begun && request.thinking.on.value_or(false))
    return fields.refuse("messages", "invalid_value",
                         "an answer that the last message begins cannot be thought about first: leave the reasoning "
                         "effort out, or set continue_final_message to false");
  return {};
}

Status decode_reasoning_form(const Fields& fields, AnswerRequest& request, ReplyForm& form) {
  ASSIGN_OR_RETURN(const auto shown, fields.boolean("include_reasoning"));
  ASSIGN_OR_RETURN(const auto given, fields.text("reasoning_format"));
  const std::string format = given.value_or("auto");
  if (format != "none" && format != "auto" && format != "deepseek")
    return fields.refuse("reasoning_format", "invalid_value", "reasoning_format must be none, auto or deepseek");
  form.reasoning = shown.value_or(true) && format != "none";
  for (const char* name : {"reasoning_budget", "thinking_token_budget"}) {
    ASSIGN_OR_RETURN(const auto most, fields.integer(name, -1, INT32_MAX));
    if (most == 0) request.thinking.on = false;
    if (most && *most > 0) request.thinking.most_tokens = static_cast<uint32_t>(*most);
  }
  return {};
}

// Parameters of audio and of what is not there; those that only some models know.
Status decode_rest(const Fields& fields, Ask& ask) {
  TRY(refuse_known(fields, {"functions", "function_call", "audio", "web_search_options", "chat_template", "echo",
                            "best_of", "suffix", "prompt"}));
  ASSIGN_OR_RETURN(const auto modalities, fields.texts("modalities"));
  for (const std::string& modality : modalities) {
    if (modality != "text")
      return fields.refuse("modalities", "unsupported_value", "the only modality of answers here is text");
  }
  ASSIGN_OR_RETURN(const auto store, fields.boolean("store"));
  if (store.value_or(false)) ask.warnings.emplace_back("store=chat completions are not stored");
  ASSIGN_OR_RETURN(const auto verbosity, fields.text("verbosity"));
  if (verbosity) ask.warnings.emplace_back("verbosity=it has no effect here");
  return {};
}

}  // namespace

Result<Ask> decode_chat(std::string_view body, Blame* blame) {
  ASSIGN_OR_RETURN(const json::value value, read_object(body));
  Ask ask;
  AnswerRequest request;
  const Fields fields(value.get_object(), "", blame, &request.pictures);
  TRY(decode_settings(fields, {"max_completion_tokens", "max_tokens", "n_predict"}, request, ask));
  ChatInput input;
  ASSIGN_OR_RETURN(input.messages, decode_messages(fields, ask.warnings));
  TRY(decode_tools(fields, input, ask));
  TRY(decode_format(fields, request));
  TRY(decode_logprobs(fields, request.settings));
  TRY(decode_thinking(fields, request, ask.warnings));
  TRY(decode_variables(fields, input, request.thinking));
  TRY(decode_reasoning_form(fields, request, ask.form));
  TRY(decode_beginning(fields, input, request));
  TRY(decode_rest(fields, ask));
  warn_unknown(fields,
               {"messages",
                "max_completion_tokens",
                "tools",
                "tool_choice",
                "parallel_tool_calls",
                "response_format",
                "structured_outputs",
                "guided_json",
                "guided_regex",
                "guided_choice",
                "guided_grammar",
                "grammar",
                "json_schema",
                "top_logprobs",
                "reasoning_effort",
                "reasoning",
                "think",
                "enable_thinking",
                "chat_template_kwargs",
                "documents",
                "continue_final_message",
                "add_generation_prompt",
                "include_reasoning",
                "reasoning_format",
                "reasoning_budget",
                "thinking_token_budget",
                "modalities",
                "store",
                "verbosity",
                "prediction",
                "prompt_cache_options",
                "moderation"},
               ask.warnings);
  request.input = std::move(input);
  ask.requests.push_back(std::move(request));
  return ask;
}

}  // namespace hearth::api::openai
