// Names of models as Ollama writes them: [host/][namespace/]model[:tag].
// Grammar: https://github.com/ollama/ollama/blob/main/types/model/name.go (2026).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace hearth::store {

struct ModelName {
  std::string host = "registry.ollama.ai", space = "library", model, tag = "latest";

  // kUsage with the reason. A valid name has no part that could leave a folder ("..", empty, "/").
  static Result<ModelName> parse(std::string_view text);

  // Without the default host and namespace, always with the tag: "llama3.2:latest".
  std::string display() const;
};

// Equal but for the case of ASCII letters, as parts of names are compared.
bool same_ignoring_case(std::string_view a, std::string_view b);

}  // namespace hearth::store
