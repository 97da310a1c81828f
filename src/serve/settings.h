// What of a server's settings the models need.
#pragma once

#include <chrono>
#include <cstdint>

#include "config/settings.h"
#include "fleet/model_options.h"

namespace hearth::serve {

struct Settings {
  std::chrono::nanoseconds keep_alive{std::chrono::minutes(5)};  // negative: for ever
  uint32_t parallel = 4;                                         // answers of one model at the same time
  uint32_t most_models = 3;                                      // that are loaded
  uint32_t queue = 512;                                          // requests that wait for one model
  fleet::ModelOptions model;                                     // how each is loaded
};

Settings model_settings(const config::Settings& settings);

}  // namespace hearth::serve
