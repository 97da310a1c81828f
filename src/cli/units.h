// Numbers as people read them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace hearth::cli {

// Decimal units, one digit below 10: "512 B", "4.7 GB", "12 MB".
std::string format_bytes(uint64_t bytes);

// As Go prints a time.Duration, which is what Ollama shows: "1.234567s", "325.9ms", "1m2.5s".
std::string format_duration(std::chrono::nanoseconds duration);

}  // namespace hearth::cli
