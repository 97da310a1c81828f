// Texts from arguments, files and standard input.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hearth::cli {

// A text as it can be used: without a byte order mark, and UTF-8. Errors: kUsage, naming the encoding that it has or
// the first bad byte; `what` names the text ("the prompt").
Result<std::string> text_from_outside(std::string text, std::string_view what);
// Such a text of a file, or of standard input until its end.
Result<std::string> read_text(const std::string& path, std::string_view what);
Result<std::string> read_standard_input(std::string_view what);

// kUsage with the offset of the first bad byte; `what` names the text ("the prompt").
Status check_utf8(std::string_view text, std::string_view what);

// kUsage if `path` cannot be a file to write: "-" would be standard output, which is none.
Status check_output(const std::string& path);

// Token ids separated by white space or commas, also as a JSON array. Errors: kInvalidData naming the
// offset, or if there are none.
Result<std::vector<int32_t>> parse_token_ids(std::string_view text, std::string_view name);

}  // namespace hearth::cli
