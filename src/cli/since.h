// Times as Ollama's lists tell them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace hearth::cli {

// Seconds since 1970 of a time in RFC 3339, "2026-08-21T18:48:22.1Z"; 0 if it is none.
int64_t parse_time(std::string_view text);
// "3 days ago", "Less than a second ago"; `now` in seconds since 1970, 0: the present.
std::string since_text(int64_t time, int64_t now = 0);
// "4 minutes from now", "Forever" for a time beyond this century, "Stopping..." for one that has passed.
std::string until_text(int64_t time, int64_t now = 0);

}  // namespace hearth::cli
