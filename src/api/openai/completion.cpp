#include <boost/json.hpp>

#include "api/openai/ask.h"
#include "base/error.h"

namespace hearth::api::openai {
namespace {

namespace json = boost::json;

constexpr size_t kMost_prompts = 128;
constexpr int kUsual_most_tokens = 16, kMost_logprobs = 5;

Result<std::vector<int32_t>> token_ids(const Fields& fields, const std::string& where, const json::array& list) {
  std::vector<int32_t> ids;
  for (const json::value& value : list) {
    const auto id = to_integer(value);
    if (!id || *id < 0 || *id > INT32_MAX) return fields.wrong_type(where, "a list of ids of tokens", value);
    ids.push_back(static_cast<int32_t>(*id));
  }
  if (ids.empty()) return fields.refuse(where, "invalid_value", "{} has no tokens", fields.path(where));
  return ids;
}

Result<TextInput> one_prompt(const Fields& fields, const std::string& where, const json::value& value) {
  TextInput input;
  input.raw = true;
  if (value.is_string()) {
    input.prompt = std::string(value.get_string());
    return input;
  }
  if (!value.is_array()) return fields.wrong_type(where, "a string or a list of ids of tokens", value);
  ASSIGN_OR_RETURN(std::vector<int32_t> ids, token_ids(fields, where, value.get_array()));
  input.tokens = std::move(ids);
  return input;
}

Result<std::vector<TextInput>> decode_prompts(const Fields& fields) {
  std::vector<TextInput> inputs;
  const json::value* value = fields.find("prompt");
  if (value == nullptr)
    return fields.refuse("prompt", "missing_required_parameter", "Missing required parameter: 'prompt'.");
  const bool list = value->is_array() && !value->get_array().empty() && !value->get_array().front().is_number();
  if (value->is_array() && value->get_array().empty())
    return fields.refuse("prompt", "invalid_value", "prompt is an empty list");
  if (!list) {
    ASSIGN_OR_RETURN(TextInput input, one_prompt(fields, "prompt", *value));
    inputs.push_back(std::move(input));
    return inputs;
  }
  if (value->get_array().size() > kMost_prompts)
    return fields.refuse("prompt", "invalid_value", "there are {} prompts; at most {} are allowed",
                         value->get_array().size(), kMost_prompts);
  for (const json::value& each : value->get_array()) {
    ASSIGN_OR_RETURN(TextInput input, one_prompt(fields, fmt::format("prompt[{}]", inputs.size()), each));
    inputs.push_back(std::move(input));
  }
  return inputs;
}

// The number of tokens; nothing at all only where the prompt is given back.
Status decode_most(const Fields& fields, bool echo, Settings& settings) {
  ASSIGN_OR_RETURN(const auto most, fields.integer("max_tokens", -1, INT32_MAX));
  ASSIGN_OR_RETURN(const auto alias, fields.integer("n_predict", -1, INT32_MAX));
  const int64_t count = most ? *most : alias.value_or(kUsual_most_tokens);
  if (count == 0 && !echo)
    return fields.refuse("max_tokens", "invalid_value", "max_tokens can be 0 only with echo");
  settings.values.emplace_back("num_predict", fmt::format("{}", count));
  return {};
}

}  // namespace

Result<Ask> decode_completion(std::string_view body, Blame* blame) {
  ASSIGN_OR_RETURN(const json::value value, read_object(body));
  const Fields fields(value.get_object(), "", blame);
  Ask ask;
  AnswerRequest request;
  TRY(decode_settings(fields, {}, request, ask));
  ASSIGN_OR_RETURN(const auto echo, fields.boolean("echo"));
  TRY(decode_most(fields, echo.value_or(false), request.settings));
  TRY(decode_format(fields, request));
  ASSIGN_OR_RETURN(const auto logprobs, fields.integer("logprobs", 0, kMost_logprobs));
  if (logprobs) request.settings.logprobs = static_cast<int>(*logprobs);
  if (logprobs && echo.value_or(false))
    return fields.refuse("logprobs", "unsupported_value", "log probabilities of the prompt are not computed: leave out "
                         "echo or logprobs");
  ASSIGN_OR_RETURN(const auto best_of, fields.integer("best_of", 0, INT32_MAX));
  if (best_of && *best_of > request.count)
    return fields.refuse("best_of", "unsupported_value", "best_of can only be n here");
  ASSIGN_OR_RETURN(auto suffix, fields.text("suffix"));
  if (suffix && suffix->empty()) suffix.reset();
  ASSIGN_OR_RETURN(std::vector<TextInput> inputs, decode_prompts(fields));
  for (TextInput& input : inputs) {
    if (echo.value_or(false) && input.tokens)
      return fields.refuse("echo", "unsupported_value", "only prompts that are texts can be given back");
    if (echo.value_or(false)) ask.form.echoes.push_back(input.prompt);
    if (suffix && input.tokens)
      return fields.refuse("suffix", "unsupported_value", "a suffix needs prompts that are texts");
    input.suffix = suffix;
    request.input = std::move(input);
    ask.requests.push_back(request);
  }
  ask.form.prompts = ask.requests.size();
  warn_unknown(fields,
               {"prompt", "echo", "best_of", "suffix", "structured_outputs", "guided_json", "guided_regex",
                "guided_choice", "guided_grammar", "grammar", "json_schema", "response_format"},
               ask.warnings);
  return ask;
}

}  // namespace hearth::api::openai
