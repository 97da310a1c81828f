// Texts from arguments, files and standard input.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hearth::cli {

// Until its end.
Result<std::string> read_standard_input();

// kUsage with the offset of the first bad byte; `what` names the text ("the prompt").
Status check_utf8(std::string_view text, std::string_view what);

// Token ids separated by white space or commas, also as a JSON array. Errors: kInvalidData naming the
// offset, or if there are none.
Result<std::vector<int32_t>> parse_token_ids(std::string_view text, std::string_view name);

}  // namespace hearth::cli
