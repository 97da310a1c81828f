// How the next token is chosen. Names and defaults are Ollama's (docs: "options"), so that people's
// settings carry over.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/result.h"

namespace hearth::sampling {

struct Options {
  float temperature = 0.8f;  // 0: greedy
  int top_k = 40;            // 0 or less: all
  float top_p = 0.9f;
  float min_p = 0.0f;
  float typical_p = 1.0f;
  int repeat_last_n = 64;  // 0: off, -1: the whole context
  float repeat_penalty = 1.0f;
  float presence_penalty = 0.0f;
  float frequency_penalty = 0.0f;
  int mirostat = 0;  // 0 off, 1, 2
  float mirostat_tau = 5.0f;
  float mirostat_eta = 0.1f;
  std::unordered_map<int32_t, float> logit_bias;  // added to the logit; -infinity bans. Unknown ids: no effect
  int64_t seed = -1;                              // negative: a random one
  int num_predict = -1;                           // negative: until a stop
  std::vector<std::string> stop;
  int logprobs = 0;  // how many alternatives to report per token; 0: none
};

// The most that a request may ask for. (OpenAI's API has the first and the last.)
inline constexpr int kMost_logprobs = 20;  // each is reported with every token
// Each is looked for in every piece of text.
inline constexpr size_t kMost_stops = 64, kMost_stop_bytes = 1024;
inline constexpr size_t kMost_logit_biases = 300;  // more would hide what the rest of the vocabulary may do

// One option that is a number: what a command line, an interactive session or an API can set by name.
struct Parameter {
  const char* name;     // "top_k"
  const char* summary;  // one line
  std::variant<float Options::*, int Options::*, int64_t Options::*> field;
  double least, most;  // allowed, both included
};
std::span<const Parameter> parameters();

// The value as people write it: "0.8", "40".
std::string to_string(const Options& options, const Parameter& parameter);

// Sets one option from text: a Parameter by name, "stop" (adds one), or "logit_bias" ("ID=BIAS", adds one).
// kUsage for an unknown name (lists the known ones), a value that is no number, or one out of range.
Status set(Options& options, std::string_view name, std::string_view value);

// kUsage with the name of the option, its value (or size) and the allowed range; nothing if all is well.
Status validate(const Options& options);

}  // namespace hearth::sampling
