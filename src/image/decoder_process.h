// Decoding in a process of its own, so that a picture that has a decoder crash, loop or do what its maker wants costs
// one answer, and gets at nothing: the process is this program once more, confined (confine.h) before it reads a byte.
#pragma once

#include <chrono>
#include <string>

#include "image/decode.h"

namespace hearth::image {

struct DecoderProcess {
  std::string program = "/proc/self/exe";  // whose main() hands kDecoder_command to run_decoder()
  std::chrono::milliseconds patience{60'000};
};

// As decode(). A few at a time; others wait. Errors besides: kInvalidData where the process was ended (a crash, more
// computing than is allowed, a forbidden system call), kTimeout, kIo where there can be no process. Where the system
// does not confine the process wholly, the log tells, once. Any thread.
Result<Picture> decode_confined(std::span<const std::byte> file, const Limits& limits = {},
                                const DecoderProcess& process = {});

// The other side: confines itself, reads a picture from descriptor 0 and writes what it is to 1. Returns the exit code.
inline constexpr const char* kDecoder_command = "decode-picture";
int run_decoder();

}  // namespace hearth::image
