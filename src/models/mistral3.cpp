// Ministral 3 and Mistral Small 4: as Llama, with queries that grow with their position beyond the context of the first
// training. Mistral AI 2025, "Ministral 3".
#include "models/rope.h"

namespace hearth::models {

namespace {

Result<Spec> read(const Metadata& keys, const ReadOptions& options) {
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys, {"attention.temperature_scale", "rope.scaling.yarn_log_multiplier"}));
  TRY(read_rms_norm(keys, &spec));
  spec.other_tensors = {"v.", "mm."};  // the image part of Ollama's files
  TRY(add_rope(keys, options, device::Rope::Pairs::kAdjacent, &spec));
  ASSIGN_OR_RETURN(const float growth, keys.number_or("attention.temperature_scale", 0, 0, 1e3));
  ASSIGN_OR_RETURN(const uint32_t original,
                   keys.count_or("rope.scaling.original_context_length", spec.context, 1, kMost_context));
  for (LayerSpec& layer : spec.per_layer) layer.growth = {.factor = growth, .period = original};
  return spec;
}

const Architecture kArchitecture{"mistral3", read};
const RegisterArchitecture registered(&kArchitecture);

}  // namespace

}  // namespace hearth::models
