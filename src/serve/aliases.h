// Names that stand for models of other names.
#pragma once

#include <optional>
#include <string>

#include "config/settings.h"

namespace hearth::serve {

// The model that answers for `name` by settings.aliases, else, for names of Anthropic's models, settings.default_model;
// nothing if a model here has that name itself, or nobody answers for it.
std::optional<std::string> model_for(const std::string& name, const config::Settings& settings);

}  // namespace hearth::serve
