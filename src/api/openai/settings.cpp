// Sampling, limits, and the parameters that llama.cpp (tools/server/README.md) and vLLM (docs: OpenAI-compatible server)
// take beside OpenAI's.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "api/ollama/decode.h"
#include "api/openai/ask.h"
#include "base/error.h"
#include "base/outside_text.h"

namespace hearth::api::openai {
namespace {

namespace json = boost::json;

constexpr size_t kMost_stops = 16;
constexpr int64_t kMost_seed = (int64_t{1} << 53) - 1;  // that an option takes
constexpr int64_t kMost_answers = 8;
constexpr int64_t kMost_choices = 128;  // that OpenAI's API knows

void put(Settings& settings, const char* option, double value) {
  settings.values.emplace_back(option, fmt::format("{}", value));
}

struct Range {
  const char* name;
  const char* option;
  double least, most;
};

Status decode_numbers(const Fields& fields, Settings& settings) {
  constexpr Range kRanges[] = {{"temperature", "temperature", 0, 2},
                               {"top_p", "top_p", 0, 1},
                               {"frequency_penalty", "frequency_penalty", -2, 2},
                               {"presence_penalty", "presence_penalty", -2, 2},
                               {"min_p", "min_p", 0, 1},
                               {"typical_p", "typical_p", 0, 1},
                               {"repetition_penalty", "repeat_penalty", 0.01, 10},
                               {"repeat_penalty", "repeat_penalty", 0.01, 10},
                               {"mirostat_tau", "mirostat_tau", 0, 100},
                               {"mirostat_eta", "mirostat_eta", 0, 1}};
  // Not the model's own, as clients of this API expect it.
  put(settings, "temperature", 1);
  put(settings, "top_p", 1);
  for (const Range& range : kRanges) {
    ASSIGN_OR_RETURN(const auto value, fields.number(range.name, range.least, range.most));
    if (!value) continue;
    // Of no token but the most likely one.
    if (range.name == std::string_view("top_p") && *value == 0)
      put(settings, "temperature", 0);
    else
      put(settings, range.option, *value);
  }
  const auto given = [&](const char* name) { return fields.find(name) != nullptr; };
  if (given("frequency_penalty") || given("presence_penalty")) {
    settings.values.emplace_back("repeat_last_n", "-1");
    settings.penalises_prompt = given("repetition_penalty") || given("repeat_penalty");
  }
  ASSIGN_OR_RETURN(const auto top_k, fields.integer("top_k", -1, INT32_MAX));
  if (top_k) settings.values.emplace_back("top_k", fmt::format("{}", std::max<int64_t>(*top_k, 0)));
  ASSIGN_OR_RETURN(const auto mirostat, fields.integer("mirostat", 0, 2));
  if (mirostat) settings.values.emplace_back("mirostat", fmt::format("{}", *mirostat));
  ASSIGN_OR_RETURN(const auto seed, fields.integer("seed"));
  if (seed) settings.values.emplace_back("seed", fmt::format("{}", *seed & kMost_seed));
  return {};
}

Status decode_most(const Fields& fields, const std::vector<std::string>& names, Settings& settings, Ask& ask) {
  std::optional<int64_t> most;
  std::string from;
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(const auto value, fields.integer(name));
    if (!value) continue;
    if (*value < -1 || *value == 0)
      return fields.refuse(name, "invalid_value", "{} is {}; it must be at least 1", fields.path(name), *value);
    if (!most) from = name;
    if (most && *most != *value) ask.warnings.push_back(fmt::format("{}={} counts", name, from));
    if (!most) most = *value;
  }
  if (most && *most > 0)
    settings.values.emplace_back("num_predict", fmt::format("{}", std::min<int64_t>(*most, INT32_MAX)));
  return {};
}

Status decode_stop(const Fields& fields, Settings& settings, Ask& ask) {
  const json::value* value = fields.find("stop");
  if (value == nullptr) return {};
  std::vector<std::string> stops;
  if (value->is_string()) {
    stops.emplace_back(value->get_string());
  } else if (value->is_array()) {
    ASSIGN_OR_RETURN(stops, fields.texts("stop"));
  } else {
    return fields.wrong_type("stop", "a string or a list of strings", *value);
  }
  if (stops.size() > kMost_stops)
    return fields.refuse("stop", "invalid_value", "stop has {} texts; at most {} are allowed", stops.size(),
                         kMost_stops);
  if (std::erase(stops, std::string()) > 0) ask.warnings.emplace_back("stop=empty texts are ignored");
  for (const std::string& stop : stops) {
    if (stop.size() > sampling::kMost_stop_bytes)
      return fields.refuse("stop", "invalid_value", "a text of stop has {} bytes; at most {} are allowed", stop.size(),
                           sampling::kMost_stop_bytes);
  }
  if (!stops.empty()) settings.stop = std::move(stops);
  return {};
}

float bias_of(double value) {
  constexpr double kBan = -100;
  return value <= kBan ? -std::numeric_limits<float>::infinity() : static_cast<float>(value);
}

Status add_bias(const Fields& fields, const std::string& where, const json::value& key, const json::value& value,
                Settings& settings) {
  const bool ban = value.is_bool() && !value.get_bool();
  if (!ban && !value.is_number()) return fields.wrong_type(where, "a number", value);
  const double bias = ban ? -100 : value.to_number<double>();
  if (!(std::abs(bias) <= 100))
    return fields.refuse(where, "invalid_value", "{} is {}; it must be from -100 to 100", fields.path(where), bias);
  if (key.is_string()) {
    settings.text_bias.emplace_back(key.get_string(), bias_of(bias));
    return {};
  }
  const auto id = to_integer(key);
  if (!id || *id < 0 || *id > INT32_MAX) return fields.wrong_type(where, "about a token, by its id", key);
  settings.logit_bias[static_cast<int32_t>(*id)] = bias_of(bias);
  return {};
}

Status decode_bias(const Fields& fields, Settings& settings) {
  const json::value* value = fields.find("logit_bias");
  if (value == nullptr) return {};
  if (value->is_array()) {
    size_t index = 0;
    for (const json::value& pair : value->get_array()) {
      const std::string where = fmt::format("logit_bias[{}]", index++);
      if (!pair.is_array() || pair.get_array().size() != 2)
        return fields.wrong_type(where, "a token, or a text, and its bias", pair);
      TRY(add_bias(fields, where, pair.at(0), pair.at(1), settings));
    }
  } else if (value->is_object()) {
    for (const auto& [key, bias] : value->get_object()) {
      int32_t id = 0;
      const auto [end, fault] = std::from_chars(key.data(), key.data() + key.size(), id);
      const std::string where = fmt::format("logit_bias.{}", printable({key.data(), key.size()}));
      if (fault != std::errc() || end != key.data() + key.size())
        return fields.refuse(where, "invalid_value", "the keys of logit_bias are ids of tokens; \"{}\" is none",
                             printable({key.data(), key.size()}));
      TRY(add_bias(fields, where, id, bias, settings));
    }
  } else {
    return fields.wrong_type("logit_bias", "an object", *value);
  }
  if (settings.logit_bias.size() + settings.text_bias.size() > sampling::kMost_logit_biases)
    return fields.refuse("logit_bias", "invalid_value", "logit_bias has more than {} entries",
                         sampling::kMost_logit_biases);
  return {};
}

// What vLLM's users know.
Status decode_ends(const Fields& fields, AnswerRequest& request, Ask& ask) {
  ASSIGN_OR_RETURN(const auto min_tokens, fields.integer("min_tokens", 0, INT32_MAX));
  request.settings.min_tokens = static_cast<uint32_t>(min_tokens.value_or(0));
  ASSIGN_OR_RETURN(const auto ignore_eos, fields.boolean("ignore_eos"));
  request.settings.ignore_eos = ignore_eos.value_or(false);
  ASSIGN_OR_RETURN(const json::array* ids, fields.array("stop_token_ids"));
  if (ids != nullptr) {
    for (const json::value& value : *ids) {
      const auto id = to_integer(value);
      if (!id || *id < 0 || *id > INT32_MAX)
        return fields.wrong_type("stop_token_ids", "a list of ids of tokens", value);
      request.settings.stop_tokens.push_back(static_cast<int32_t>(*id));
    }
  }
  ASSIGN_OR_RETURN(const auto shows, fields.boolean("include_stop_str_in_output"));
  ask.form.shows_stop = shows.value_or(false);
  ASSIGN_OR_RETURN(const auto skips, fields.boolean("skip_special_tokens"));
  if (!skips.value_or(true))
    return fields.refuse("skip_special_tokens", "unsupported_value", "skip_special_tokens can only be true here");
  ASSIGN_OR_RETURN(const auto priority, fields.integer("priority", INT32_MIN, INT32_MAX));
  // There the lowest goes first.
  request.priority = -static_cast<int>(std::max<int64_t>(priority.value_or(0), -INT32_MAX));
  ASSIGN_OR_RETURN(const auto salt, fields.text("cache_salt"));
  request.cache_salt = salt.value_or("");
  return {};
}

Status decode_stream(const Fields& fields, Ask& ask) {
  ASSIGN_OR_RETURN(const auto stream, fields.boolean("stream"));
  ask.stream = stream.value_or(false);
  ASSIGN_OR_RETURN(const json::object* options, fields.object("stream_options"));
  if (options == nullptr) return {};
  if (!ask.stream)
    return fields.refuse("stream_options", "invalid_value",
                         "The 'stream_options' parameter is only allowed when 'stream' is enabled.");
  const Fields inner = fields.inner(*options, "stream_options");
  ASSIGN_OR_RETURN(const auto usage, inner.boolean("include_usage"));
  ask.include_usage = usage.value_or(false);
  TRY(inner.boolean("include_obfuscation"));
  return {};
}

// Parameters that change nothing here, of which only the type is looked at.
Status check_types(const Fields& fields, Ask& ask) {
  for (const char* name : {"user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "request_id"})
    TRY(fields.text(name));
  TRY(fields.boolean("cache_prompt"));
  ASSIGN_OR_RETURN(const json::object* metadata, fields.object("metadata"));
  constexpr size_t kMost_pairs = 16, kMost_key = 64, kMost_value = 512;
  if (metadata != nullptr && metadata->size() > kMost_pairs)
    return fields.refuse("metadata", "invalid_value", "metadata has {} pairs; at most {} are allowed", metadata->size(),
                         kMost_pairs);
  if (metadata != nullptr) {
    for (const auto& [key, value] : *metadata) {
      const std::string where = fmt::format("metadata.{}", printable({key.data(), key.size()}));
      if (!value.is_string()) return fields.wrong_type(where, "a string", value);
      if (key.size() > kMost_key || value.get_string().size() > kMost_value)
        return fields.refuse(where, "invalid_value", "{} is too long: keys have at most {} letters, values {}", where,
                             kMost_key, kMost_value);
    }
  }
  ASSIGN_OR_RETURN(const auto tier, fields.text("service_tier"));
  if (tier) ask.form.service_tier = "default";
  for (const char* name : {"id_slot", "return_progress", "add_special_tokens"})
    if (fields.find(name) != nullptr) ask.warnings.push_back(fmt::format("{}=it has no effect here", name));
  return {};
}

}  // namespace

Status decode_settings(const Fields& fields, const std::vector<std::string>& named_most, AnswerRequest& request,
                       Ask& ask) {
  ASSIGN_OR_RETURN(const auto model, fields.text("model"));
  if (!model || model->empty())
    return fields.refuse("model", "missing_required_parameter", "you must provide a model parameter");
  request.model = ask.form.model = *model;
  TRY(decode_stream(fields, ask));
  TRY(decode_numbers(fields, request.settings));
  TRY(decode_most(fields, named_most, request.settings, ask));
  TRY(decode_stop(fields, request.settings, ask));
  TRY(decode_bias(fields, request.settings));
  TRY(decode_ends(fields, request, ask));
  ASSIGN_OR_RETURN(const auto count, fields.integer("n", 1, kMost_choices));
  request.count = static_cast<uint32_t>(count.value_or(1));
  ask.form.answers = request.count;
  if (request.count > kMost_answers)
    return fields.refuse("n", "unsupported_value", "n is {}; this server gives at most {} answers to a request",
                         request.count, kMost_answers);
  if (const json::value* value = fields.find("keep_alive")) {
    auto keep_alive = ollama::decode_keep_alive(*value);
    if (!keep_alive) return fields.refuse("keep_alive", "invalid_value", "{}", keep_alive.error().message);
    request.keep_alive = *keep_alive;
  }
  if (auto status = ollama::decode_options(fields, request, ask.warnings); !status)
    return fields.refuse("options", "invalid_value", "{}", status.error().message);
  ASSIGN_OR_RETURN(const auto timings, fields.boolean("timings_per_token"));
  ask.form.timings = timings.value_or(false);
  ASSIGN_OR_RETURN(const auto user, fields.text("user"));
  if (user) request.caller.user = *user;
  TRY(refuse_known(fields, {"bad_words", "allowed_token_ids", "use_beam_search", "length_penalty", "mm_processor_kwargs",
                            "vllm_xargs", "prompt_logprobs", "truncate_prompt_tokens", "samplers", "lora",
                            "parse_tool_calls", "n_probs", "dry_multiplier", "dry_base", "dry_allowed_length",
                            "dry_penalty_last_n", "dry_sequence_breakers", "xtc_probability", "xtc_threshold",
                            "dynatemp_range", "dynatemp_exponent", "logits_processors"}));
  return check_types(fields, ask);
}

Status refuse_known(const Fields& fields, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    if (fields.find(name) != nullptr)
      return fields.refuse(name, "unsupported_parameter", "Unsupported parameter: '{}' is not supported by this server.",
                           name);
  }
  return {};
}

void warn_unknown(const Fields& fields, std::initializer_list<std::string_view> known,
                  std::vector<std::string>& warnings) {
  constexpr std::string_view kCommon[] = {
      "model", "stream", "stream_options", "temperature", "top_p", "frequency_penalty", "presence_penalty", "min_p",
      "typical_p", "repetition_penalty", "repeat_penalty", "mirostat", "mirostat_tau", "mirostat_eta", "top_k", "seed",
      "stop", "logit_bias", "min_tokens", "ignore_eos", "stop_token_ids", "include_stop_str_in_output",
      "skip_special_tokens", "priority", "cache_salt", "n", "keep_alive", "options", "timings_per_token", "user",
      "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "request_id", "cache_prompt", "metadata",
      "service_tier", "id_slot", "return_progress", "add_special_tokens", "max_tokens", "n_predict", "logprobs"};
  for (const auto& member : fields.all()) {
    const std::string_view key(member.key().data(), member.key().size());
    if (member.value().is_null() || std::ranges::find(kCommon, key) != std::end(kCommon) ||
        std::ranges::find(known, key) != known.end())
      continue;
    constexpr size_t kMost_shown = 64;
    warnings.push_back(fmt::format("{}=it is not known", printable(key.substr(0, kMost_shown))));
  }
}

}  // namespace hearth::api::openai
