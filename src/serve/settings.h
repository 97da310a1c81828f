// What a server is told: by its flags, else by the environment under Ollama's names.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "fleet/model_options.h"
#include "http/settings.h"

namespace hearth::serve {

struct Settings {
  std::vector<http::Address> listen = {http::Address()};
  std::vector<std::string> origins;                              // beside the usual ones, each with at most one "*"
  std::chrono::nanoseconds keep_alive{std::chrono::minutes(5)};  // negative: for ever
  uint32_t parallel = 4;                                         // answers of one model at the same time
  uint32_t most_models = 3;                                      // that are loaded
  uint32_t queue = 512;                                          // requests that wait for one model
  fleet::ModelOptions model;                                     // how each is loaded
};

// The value of a variable; nothing if it is not set or empty.
using Environment = std::function<std::optional<std::string>(const char* name)>;
std::optional<std::string> environment(const char* name);

// OLLAMA_HOST, _ORIGINS, _KEEP_ALIVE, _NUM_PARALLEL, _MAX_LOADED_MODELS, _MAX_QUEUE, _CONTEXT_LENGTH, _KV_CACHE_TYPE.
// Errors: kUsage, with the variable and its value.
Status read_environment(const Environment& variables, Settings& settings);

// "[scheme://]host[:port][/path]": without a scheme the port is 11434, of http 80; a port that is none counts as
// absent; without a host all addresses. Errors: kUsage.
Result<http::Address> parse_host(std::string_view text);

}  // namespace hearth::serve
