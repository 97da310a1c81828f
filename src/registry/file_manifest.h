// The manifests of models that come as files, which have none where they are.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "registry/source.h"

namespace hearth::registry {

// `layers`: Ollama's word for what each is ("model", "projector") and the file.
std::string manifest_of_files(const std::vector<std::pair<const char*, Blob>>& layers, const Blob& config);
Blob configuration_of_files();

}  // namespace hearth::registry
