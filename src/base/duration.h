// Durations as people read them.
#pragma once

#include <chrono>
#include <string>

namespace hearth {

// As Go prints a time.Duration, which is what Ollama shows: "1.234567s", "325.9ms", "1m2.5s".
std::string format_duration(std::chrono::nanoseconds duration);

}  // namespace hearth
