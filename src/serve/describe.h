// What a model in the store is, for people and programs.
#pragma once

#include <string>
#include <vector>

#include "api/service.h"
#include "serve/text_models.h"

namespace hearth::serve {

// "completion" or "embedding", "tools", "insert", "thinking".
std::vector<std::string> capabilities_of(const TextModel& model);
// Errors: those of TextModels::get(). `verbose`: with long lists.
Result<api::ModelDetails> describe(TextModels& models, const std::string& name, bool verbose);

}  // namespace hearth::serve
