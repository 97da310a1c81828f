// Entries of the lists of web pages that may ask, and of sites that pictures are fetched from.
#pragma once

#include <string_view>

#include "base/result.h"

namespace hearth::config {

// "*", or "scheme://host[:port]" with at most one "*". Errors: kUsage.
Status check_origin_entry(std::string_view entry);
// "http://host[:port]" or "https://host[:port]" with at most one "*", maybe a "/" behind. Errors: kUsage.
Status check_site(std::string_view entry);
// Whether an origin, "scheme://host[:port]" in small letters, is what an entry without a "/" behind means.
bool is_meant(std::string_view entry, std::string_view origin);

}  // namespace hearth::config
