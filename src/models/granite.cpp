// Granite 3 and 4, and the hybrids with Mamba-2 layers: scales on embeddings, attention, results and logits (maximal
// update parametrisation; Yang et al. 2022). IBM 2024, "Granite 3.0 Language Models".
#include "models/recurrent.h"
#include "models/rope.h"

namespace hearth::models {

namespace {

Result<float> scale_of(const Metadata& keys, std::string_view key) {
  ASSIGN_OR_RETURN(const float scale, keys.number_or(key, 1, 0, 1e9));
  return scale == 0 ? 1.0f : scale;  // writers' "not set"
}

Result<Spec> read_with(const Metadata& keys, const ReadOptions& options, bool hybrid) {
  const std::initializer_list<std::string_view> plain{"embedding_scale", "residual_scale", "logit_scale",
                                                      "expert_shared_count"};
  const std::initializer_list<std::string_view> of_hybrids{"embedding_scale",      "residual_scale",
                                                           "logit_scale",          "expert_shared_count",
                                                           "attention.head_count", "attention.head_count_kv"};
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys, hybrid ? of_hybrids : plain));
  TRY(read_rms_norm(keys, &spec));
  if (hybrid) {
    TRY(read_scan_sizes(keys, &spec));
    for (uint32_t i = 0; i < spec.layers; ++i)
      if (keys.of_layer("attention.head_count_kv", i, 1) == 0) spec.per_layer[i].mixer = Mixer::kStateSpace;
  }
  TRY(read_routing(keys, true, &spec));
  ASSIGN_OR_RETURN(const float embedding, scale_of(keys, "embedding_scale"));
  ASSIGN_OR_RETURN(const float residual, scale_of(keys, "residual_scale"));
  ASSIGN_OR_RETURN(const float logits, scale_of(keys, "logit_scale"));
  // Every result that is added to x is scaled, and x is only read through RMS norms: x over that scale is kept instead.
  spec.embedding_scale = embedding / residual;
  spec.scales_embedded = true;
  spec.norm_epsilon /= residual * residual;
  spec.logit_scale = 1 / logits;
  if (hybrid && !keys.file().bool_or(keys.name("rope.scaling.finetuned"), true)) return spec;  // no ropes
  TRY(add_rope(keys, options, device::Rope::Pairs::kAdjacent, &spec));
  return spec;
}

Result<Spec> read(const Metadata& keys, const ReadOptions& options) {
  return read_with(keys, options, false);
}
Result<Spec> read_hybrid(const Metadata& keys, const ReadOptions& options) {
  return read_with(keys, options, true);
}

const Architecture kArchitecture{"granite", read};
const Architecture kHybrid{"granitehybrid", read_hybrid};
const RegisterArchitecture registered_hybrid(&kHybrid);
const Architecture kWithExperts{"granitemoe", read};
const RegisterArchitecture registered(&kArchitecture);
const RegisterArchitecture registered_with_experts(&kWithExperts);

}  // namespace

}  // namespace hearth::models
