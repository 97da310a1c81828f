// Entries of the list of names that stand for models.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace hearth::config {

// "NAME=MODEL"; NAME may have one "*", which stands for any text. Errors: kUsage.
Status check_alias(std::string_view entry);
// The model, if `name` is the entry's.
std::optional<std::string> alias_of(std::string_view entry, std::string_view name);

}  // namespace hearth::config
