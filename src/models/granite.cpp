// Granite 3 and 4: scales on embeddings, attention, results and logits (maximal update parametrisation; Yang et al.
// 2022). IBM 2024, "Granite 3.0 Language Models".
#include "models/rope.h"

namespace hearth::models {

namespace {

Result<float> scale_of(const Metadata& keys, std::string_view key) {
  ASSIGN_OR_RETURN(const float scale, keys.number_or(key, 1, 0, 1e9));
  return scale == 0 ? 1.0f : scale;  // writers' "not set"
}

Result<Spec> read(const gguf::File& file, const ReadOptions& options) {
  const Metadata keys(file);
  ASSIGN_OR_RETURN(Spec spec,
                   read_sizes(keys, {"embedding_scale", "residual_scale", "logit_scale", "expert_shared_count"}));
  TRY(read_rms_norm(keys, &spec));
  TRY(read_routing(keys, true, &spec));
  ASSIGN_OR_RETURN(const float embedding, scale_of(keys, "embedding_scale"));
  ASSIGN_OR_RETURN(const float residual, scale_of(keys, "residual_scale"));
  ASSIGN_OR_RETURN(const float logits, scale_of(keys, "logit_scale"));
  // Every result that is added to x is scaled, and x is only read through RMS norms: x over that scale is kept instead.
  spec.embedding_scale = embedding / residual;
  spec.norm_epsilon /= residual * residual;
  spec.logit_scale = 1 / logits;
  TRY(add_rope(keys, options, device::Rope::Pairs::kAdjacent, &spec));
  return spec;
}

const Architecture kArchitecture{"granite", read};
const Architecture kWithExperts{"granitemoe", read};
const RegisterArchitecture registered(&kArchitecture);
const RegisterArchitecture registered_with_experts(&kWithExperts);

}  // namespace

}  // namespace hearth::models
