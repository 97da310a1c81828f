// Entries of the list of web pages that may ask.
#pragma once

#include <string_view>

#include "base/result.h"

namespace hearth::config {

// "*", or "scheme://host[:port]" with at most one "*". Errors: kUsage.
Status check_origin_entry(std::string_view entry);

}  // namespace hearth::config
