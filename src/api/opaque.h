// Texts that clients give back as they got them, without being meant to read them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace hearth::api {

// A signature of reasoning: not empty, and of this server. With `carries`, the text itself is in it.
std::string seal(std::string_view text, bool carries);
// The text that a seal carries; nothing if it carries none, or is somebody else's.
std::optional<std::string> unseal(std::string_view seal);

}  // namespace hearth::api
