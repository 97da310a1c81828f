// Entries of the list of models that are loaded at the start and stay.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace hearth::config {

struct KeptModel {
  std::string name;
  std::optional<uint32_t> context, parallel;  // as the settings of these names, for this model
  std::optional<std::string> kv_type;
};

// "coder:6.7b", "coder:6.7b context=8192 parallel=2 kv_type=q8_0". Errors: kUsage.
Result<KeptModel> parse_kept(std::string_view entry);
Status check_kept(std::string_view entry);

}  // namespace hearth::config
