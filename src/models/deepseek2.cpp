// DeepSeek V2 and V3 with their kin (R1, Coder V2, V2 Lite, Kimi K2): latent attention, experts that are chosen by
// groups with a bias, experts that every token uses. DeepSeek-AI 2024, "DeepSeek-V2" and "DeepSeek-V3 Technical
// Report".
#include <cmath>

#include "models/rope.h"

namespace hearth::models {

namespace {

// Older files give the sizes of a head; newer ones those of what is cached, and those of a head under keys of their
// own.
Status read_latent_sizes(const Metadata& keys, Spec* spec) {
  Latent& latent = spec->latent;
  ASSIGN_OR_RETURN(latent.rank, keys.count("attention.kv_lora_rank", 1, kMost_head));
  ASSIGN_OR_RETURN(latent.rope, keys.count("rope.dimension_count", 2, kMost_head));
  ASSIGN_OR_RETURN(const uint32_t key, keys.count_or("attention.key_length_mla", spec->key_dim, 1, kMost_head));
  ASSIGN_OR_RETURN(latent.value, keys.count_or("attention.value_length_mla", spec->value_dim, 1, kMost_head));
  if (key <= latent.rope)
    return keys.invalid("rope.dimension_count",
                        fmt::format("is {}; expected less than the heads' {}", latent.rope, key));
  latent.key = key - latent.rope;
  // V2 Lite has matrices that make the queries in one step, and, like the others, the key.
  if (keys.file().tensor("blk.0.attn_q.weight") == nullptr) {
    ASSIGN_OR_RETURN(latent.query_rank, keys.count("attention.q_lora_rank", 1, kMost_width));
  }
  spec->kv_heads = 1;
  spec->key_dim = latent.rank + latent.rope;
  spec->value_dim = latent.rank;
  return {};
}

// Scores grow with the stretching of the context (m^2 of YaRN; DeepSeek-AI's code), sines and cosines do not.
Result<float> score_scale(const Metadata& keys, const Latent& latent) {
  ASSIGN_OR_RETURN(const float multiplier, keys.number_or("rope.scaling.yarn_log_multiplier", 0, 0, 1e3));
  ASSIGN_OR_RETURN(const float factor, keys.number_or("rope.scaling.factor", 1, 0, 1e6));
  const float growth = factor > 1 ? 1 + multiplier * std::log(factor) : 1;
  return growth * growth / std::sqrt(static_cast<float>(latent.key + latent.rope));
}

Result<Spec> read(const Metadata& keys, const ReadOptions& options) {
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys, {"attention.kv_lora_rank", "expert_shared_count", "expert_gating_func",
                                                "expert_group_used_count", "nextn_predict_layers",
                                                "rope.scaling.yarn_log_multiplier"}));
  TRY(read_rms_norm(keys, &spec));
  TRY(read_routing(keys, false, &spec));
  TRY(leave_out_predictors(keys, &spec));
  TRY(read_latent_sizes(keys, &spec));
  ASSIGN_OR_RETURN(spec.attention_scale, score_scale(keys, spec.latent));
  TRY(add_rope(keys, options, device::Rope::Pairs::kAdjacent, &spec));
  spec.ropes[0].first = spec.latent.rank;
  spec.ropes[0].magnitude = 1;
  return spec;
}

const Architecture kArchitecture{"deepseek2", read};
const RegisterArchitecture registered(&kArchitecture);

}  // namespace

}  // namespace hearth::models
