// Durations as people read them.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace hearth {

// As Go prints a time.Duration, which is what Ollama shows: "1.234567s", "325.9ms", "1m2.5s".
std::string format_duration(std::chrono::nanoseconds duration);

// As Go reads one (https://pkg.go.dev/time#ParseDuration): "300ms", "1.5h", "2h45m", "-1m", "0"; nothing where it would
// not. What 64 bits have no room for is the longest that they have.
std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text);
// Of a number of seconds, in the same bounds.
std::chrono::nanoseconds from_seconds(double seconds);

}  // namespace hearth
