// One model architecture: one file in this folder defines one of these and registers it.
#pragma once

#include "base/registry.h"
#include "base/result.h"
#include "gguf/file.h"
#include "models/spec.h"

namespace hearth::models {

struct ReadOptions {
  uint32_t context = 0;  // that will be used (0: the model's own); some rope variants depend on it
};

struct Architecture {
  const char* name;  // general.architecture: "llama"
  // Errors: kInvalidData (missing or absurd keys), kUnsupported (a behaviour that is not implemented, by name).
  Result<Spec> (*read)(const gguf::File& file, const ReadOptions& options);
};

using RegisterArchitecture = Register<Architecture>;

// The architecture of this file. kUnsupported names it and lists what is supported.
Result<const Architecture*> find_architecture(const gguf::File& file);

}  // namespace hearth::models
