// The file of settings: TOML (https://toml.io/en/v1.0.0), whose tables become names with dots.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hearth::config {

struct Entry {
  std::string key, value;  // "tls.key"; a list's entries joined by commas
  uint32_t line = 0;
};

// Errors: kUsage, with file and line: no TOML, or a value that no setting can have.
Result<std::vector<Entry>> parse_file(std::string_view text, const std::string& path);

}  // namespace hearth::config
