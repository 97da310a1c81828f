// How GPT-2 writes bytes as visible characters in its vocabulary and merges: printable Latin-1 bytes stand
// for themselves, the others for the code points from 256 on, in order.
// Source: bytes_to_unicode() in https://github.com/openai/gpt-2/blob/master/src/encoder.py
#pragma once

#include <string>
#include <string_view>

namespace hearth::text {

// Appends the bytes that `text` stands for. A character outside the alphabet stands for itself.
void append_byte_alphabet(std::string_view text, std::string* out);

}  // namespace hearth::text
