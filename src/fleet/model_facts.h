// What a model is, from its file alone: what every list and description of models shows.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "gguf/file.h"
#include "models/spec.h"

namespace hearth::fleet {

struct ModelFacts {
  std::string title;         // empty: not given
  std::string architecture;  // "llama"; "(not given)"
  std::string recipe;        // of its quantization: "Q4_K_M"; empty: not given
  uint64_t parameters = 0, weight_bytes = 0;
  double bits_per_weight = 0;  // 0: there are no weights
  Result<models::Spec> spec;   // an error: why it cannot be run
};
ModelFacts facts_of(const gguf::File& file);

}  // namespace hearth::fleet
