#include "sampling/options.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "base/error.h"

namespace hearth::sampling {
namespace {

constexpr double kFloatMost = std::numeric_limits<float>::max();
constexpr double kIntMost = std::numeric_limits<int>::max();
constexpr double kIntLeast = std::numeric_limits<int>::min();
constexpr double kSeedMost = 9007199254740992.0;  // 2^53: exact as a JSON number too
// The penalty divides: zero is out of its range, so it gets the least that makes sense.
constexpr double kLeastRepeatPenalty = 0.01;

constexpr Parameter kParameters[] = {
    {"temperature", "higher: more varied, 0: always the most likely token", &Options::temperature, 0, kFloatMost},
    {"top_k", "choose among the K most likely tokens, 0: all", &Options::top_k, kIntLeast, kIntMost},
    {"top_p", "choose among the most likely tokens that together have this probability", &Options::top_p, 0, 1},
    {"min_p", "drop tokens less likely than this part of the most likely one", &Options::min_p, 0, 1},
    {"typical_p", "choose among the most typical tokens that together have this probability", &Options::typical_p, 0,
     1},
    {"repeat_last_n", "how far back the penalties look, 0: off, -1: the whole context", &Options::repeat_last_n, -1,
     kIntMost},
    {"repeat_penalty", "divides the logits of recent tokens, 1: off", &Options::repeat_penalty, kLeastRepeatPenalty,
     kFloatMost},
    {"presence_penalty", "taken off the logit of a recent token, once", &Options::presence_penalty, -kFloatMost,
     kFloatMost},
    {"frequency_penalty", "taken off the logit of a recent token, per occurrence", &Options::frequency_penalty,
     -kFloatMost, kFloatMost},
    {"mirostat", "keep the surprise of the text constant: 0: off, 1 or 2: version", &Options::mirostat, 0, 2},
    {"mirostat_tau", "mirostat: the surprise to aim at, in bits", &Options::mirostat_tau, 0, kFloatMost},
    {"mirostat_eta", "mirostat: how fast to correct", &Options::mirostat_eta, 0, kFloatMost},
    {"num_predict", "most tokens to generate, -1: until the model stops", &Options::num_predict, kIntLeast, kIntMost},
    {"seed", "of the random numbers, -1: a new one each time", &Options::seed, -kSeedMost, kSeedMost},
};

bool is_float(const Parameter& parameter) {
  return parameter.field.index() == 0;
}

double get(const Options& options, const Parameter& parameter) {
  return std::visit([&](auto field) { return static_cast<double>(options.*field); }, parameter.field);
}

// What `value` should have been (NaN: something that is no number). Limits of types are for those who exceed them.
std::string range(const Parameter& parameter, double value) {
  const bool below = parameter.least <= kIntLeast, above = parameter.most >= kIntMost;
  const char* what = is_float(parameter) ? "a number" : "an integer";
  if (above && value > parameter.most) return fmt::format("{} of at most {}", what, parameter.most);
  if (below && value < parameter.least) return fmt::format("{} of at least {}", what, parameter.least);
  if (below && above) return what;
  if (above) return fmt::format("{} of at least {}", what, parameter.least);
  return fmt::format("{} from {} to {}", what, parameter.least, parameter.most);
}

Error out_of_range(const Parameter& parameter, std::string_view text, double value) {
  return error(ErrorKind::kUsage, "{} is {}, but must be {}", parameter.name, text, range(parameter, value));
}

bool in_range(const Parameter& parameter, double value) {  // false for NaN
  return value >= parameter.least && value <= parameter.most;
}

template <class T>
std::optional<T> parse(std::string_view text) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [at, code] = std::from_chars(text.data(), end, value);
  if (code != std::errc() || at != end) return std::nullopt;
  return value;
}

// As a double, which holds all that an integer parameter may be; what is beyond becomes infinite.
std::optional<double> parse_integer(std::string_view text) {
  int64_t value{};
  const char* end = text.data() + text.size();
  const auto [at, code] = std::from_chars(text.data(), end, value);
  if (at != end || code == std::errc::invalid_argument) return std::nullopt;
  constexpr auto kMost = static_cast<int64_t>(kSeedMost);
  if (code == std::errc() && value >= -kMost && value <= kMost) return static_cast<double>(value);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  return text.starts_with('-') ? -kInfinity : kInfinity;
}

Status validate_stops(const std::vector<std::string>& stops) {
  if (stops.size() > kMost_stops)
    return error(ErrorKind::kUsage, "stop has {} texts, but must have at most {}", stops.size(), kMost_stops);
  for (const std::string& stop : stops) {
    if (stop.size() > kMost_stop_bytes)
      return error(ErrorKind::kUsage, "stop has a text of {} bytes, but each must have at most {}", stop.size(),
                   kMost_stop_bytes);
  }
  return {};
}

Status validate_biases(const std::unordered_map<int32_t, float>& biases) {
  if (biases.size() > kMost_logit_biases)
    return error(ErrorKind::kUsage, "logit_bias has {} tokens, but must have at most {}", biases.size(),
                 kMost_logit_biases);
  for (const auto& [token, bias] : biases) {
    if (std::isnan(bias) || bias == std::numeric_limits<float>::infinity())
      return error(ErrorKind::kUsage, "logit_bias of token {} is {}, but must be a number or -inf", token, bias);
  }
  return {};
}

std::string known_names() {
  std::string names;
  for (const Parameter& parameter : kParameters) names += fmt::format("{}, ", parameter.name);
  return names + "stop, logit_bias";
}

Status set_parameter(Options& options, const Parameter& parameter, std::string_view text) {
  const double value = (is_float(parameter) ? parse<double>(text) : parse_integer(text)).value_or(std::nan(""));
  if (!in_range(parameter, value)) return out_of_range(parameter, fmt::format("\"{}\"", text), value);
  std::visit(
      [&](auto field) { options.*field = static_cast<std::remove_reference_t<decltype(options.*field)>>(value); },
      parameter.field);
  return {};
}

Status add_logit_bias(Options& options, std::string_view text) {
  const size_t equals = text.find('=');
  const auto token = parse<int32_t>(text.substr(0, equals));
  const auto bias = parse<float>(equals == text.npos ? std::string_view() : text.substr(equals + 1));
  if (!token || *token < 0 || !bias) {
    return error(ErrorKind::kUsage, "logit_bias is \"{}\", but must be ID=BIAS: a token id and a number", text);
  }
  auto changed = options.logit_bias;
  changed[*token] = *bias;
  TRY(validate_biases(changed));
  options.logit_bias = std::move(changed);
  return {};
}

}  // namespace

std::span<const Parameter> parameters() {
  return kParameters;
}

std::string to_string(const Options& options, const Parameter& parameter) {
  return std::visit([&](auto field) { return fmt::format("{}", options.*field); }, parameter.field);
}

Status set(Options& options, std::string_view name, std::string_view value) {
  for (const Parameter& parameter : kParameters) {
    if (name == parameter.name) return set_parameter(options, parameter, value);
  }
  if (name == "logit_bias") return add_logit_bias(options, value);
  if (name == "stop") {
    if (value.empty()) return error(ErrorKind::kUsage, "stop is empty, but must be a text to stop at");
    options.stop.emplace_back(value);
    Status valid = validate_stops(options.stop);
    if (!valid) options.stop.pop_back();
    return valid;
  }
  return error(ErrorKind::kUsage, "unknown parameter \"{}\"; known are {}", name, known_names());
}

Status validate(const Options& options) {
  for (const Parameter& parameter : kParameters) {
    const double value = get(options, parameter);
    if (!in_range(parameter, value)) return out_of_range(parameter, to_string(options, parameter), value);
  }
  if (options.logprobs < 0 || options.logprobs > kMost_logprobs) {
    return error(ErrorKind::kUsage, "logprobs is {}, but must be an integer from 0 to {}", options.logprobs,
                 kMost_logprobs);
  }
  TRY(validate_stops(options.stop));
  return validate_biases(options.logit_bias);
}

}  // namespace hearth::sampling
