// Bodies that clients have compressed.
#pragma once

#include "http/body.h"

namespace hearth::http {

inline constexpr size_t kMost_decoded_bytes = size_t{20} << 20;  // as Ollama has it

// What a body is behind its Content-Encoding: "zstd" (RFC 8878), or "identity" or nothing: as it is. Errors:
// kUnsupported: another encoding; kTooLong: it is longer than kMost_decoded_bytes; kInvalidData: it is broken.
Result<Body> decode(Body body, std::string_view encoding);

}  // namespace hearth::http
