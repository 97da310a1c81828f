// Which file a model's name means.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "gguf/file.h"
#include "store/ollama_models.h"

namespace hearth::fleet {

// What the user of this machine writes on a command line: a path, "demo" (the model that comes with hearth), or a name
// in an Ollama folder. Never for what comes from elsewhere. Errors: kNotFound, saying where was looked, and those of
// store::resolve_argument.
Result<store::ModelFiles> find_model(const std::string& model);
// A name that comes from elsewhere: a model in an Ollama folder, or "demo"; never a path. The demonstration model's
// name is then kDemo_name. Errors: kNotFound, and those of store::resolve_name.
Result<store::ModelFiles> find_named_model(const std::string& name);
inline constexpr const char* kDemo_name = "demo:latest";
Result<std::shared_ptr<const gguf::File>> open_model(const std::string& model);

}  // namespace hearth::fleet
