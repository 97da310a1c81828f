// How the next token is chosen. Names and defaults are Ollama's (docs: "options"), so that people's
// settings carry over.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

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
  std::unordered_map<int32_t, float> logit_bias;  // added to the logit
  int64_t seed = -1;                              // negative: a random one
  int num_predict = -1;                           // negative: until a stop
  std::vector<std::string> stop;
  int logprobs = 0;  // how many alternatives to report per token; 0: none
};

}  // namespace hearth::sampling
