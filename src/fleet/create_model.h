// Makes models from recipes: what the command and the server's route share.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "store/create.h"

namespace hearth::fleet {

using CreateProgress =
    std::function<Status(std::string_view status, const std::string& digest, uint64_t done, uint64_t total)>;

// In the first store that this user can write, of models in all; see store::create_model(). The template must be one.
Result<std::vector<std::string>> create_model(const store::Blueprint& blueprint, const CreateProgress& progress);

}  // namespace hearth::fleet
