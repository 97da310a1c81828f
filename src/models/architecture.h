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

class Metadata;

struct Architecture {
  const char* name;  // general.architecture: "llama"
  // Errors: kInvalidData (missing or absurd keys), kUnsupported (a behaviour that is not implemented, by name).
  Result<Spec> (*read)(const Metadata& keys, const ReadOptions& options);
};

using RegisterArchitecture = Register<Architecture>;

// The architecture of this file. kUnsupported names it and lists what is supported.
Result<const Architecture*> find_architecture(const gguf::File& file);

// What that architecture reads. Errors: its own, find_architecture()'s; kUnsupported naming a key that nothing here
// knows, since what it asks for would be missing from the results (unless it is 0 or false).
Result<Spec> read_spec(const gguf::File& file, const ReadOptions& options = {});

}  // namespace hearth::models
