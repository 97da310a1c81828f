// The figures that --verbose shows after an answer.
#pragma once

#include <chrono>
#include <string>

#include "engine/engine.h"

namespace hearth::cli {

struct Report {
  std::chrono::nanoseconds total, load;
  std::chrono::nanoseconds read;      // of the load, what the weights took
  std::chrono::nanoseconds pictures;  // until they were decoded and encoded
  engine::Usage usage;
  uint64_t bytes_per_token = 0;
  engine::DeviceStatus devices;
};
// Lines as Ollama's --verbose prints them (label padded to 22 columns, zero values skipped), then bandwidth,
// memory and placement. Ends without a newline.
std::string to_string(const Report& report);

}  // namespace hearth::cli
