#include "models/gemma.h"

#include <cmath>

namespace hearth::models {

Result<Spec> read_gemma(const Metadata& keys, uint32_t layers_of_largest,
                        std::initializer_list<std::string_view> understood) {
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys, understood));
  ASSIGN_OR_RETURN(spec.norm_epsilon,
                   keys.number_or("attention.layer_norm_rms_epsilon", 1e-6f, 0, 1));  // Ollama's lack it
  spec.post_norms = true;
  spec.activation = device::Activation::kGeluTanh;
  spec.embedding_scale = std::sqrt(static_cast<float>(spec.width));
  if (spec.layers == layers_of_largest && !keys.has("attention.scale"))
    spec.attention_scale = 1 / std::sqrt(static_cast<float>(spec.width / spec.heads));
  return spec;
}

}  // namespace hearth::models
