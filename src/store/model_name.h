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

}  // namespace hearth::store
