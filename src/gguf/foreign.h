// Says what a file that is not GGUF looks like, so that the message helps.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace hearth::gguf {

// For bytes that do not start with the GGUF magic: "an HTML page (a failed download?)", "a safetensors
// file; convert it to GGUF first"; or the first bytes in hexadecimal.
std::string describe_foreign(std::span<const std::byte> bytes);

}  // namespace hearth::gguf
