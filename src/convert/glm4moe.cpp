// GLM-4.5, 4.6 and their Air (GLM Team 2025): sigmoid routing with a bias on the choice, an expert that every token
// uses.
#include "convert/decoder.h"

namespace hearth::convert {
namespace {

constexpr uint32_t kSigmoid = 2;  // in GGUF files

Result<ExpertNames> read_routing(const Json& config, Plan& plan) {
  TRY(read_experts(config, "n_routed_experts", "num_experts_per_tok", plan));
  ASSIGN_OR_RETURN(const uint32_t inner, config.count("moe_intermediate_size", 1, 1 << 20));
  ASSIGN_OR_RETURN(const uint32_t shared, config.count_or("n_shared_experts", 1, 0, 1024));
  ASSIGN_OR_RETURN(const bool normalised, config.boolean_or("norm_topk_prob", true));
  ASSIGN_OR_RETURN(const double scale, config.number_or("routed_scaling_factor", 1));
  ASSIGN_OR_RETURN(const uint32_t groups, config.count_or("n_group", 1, 1, plan.experts));
  ASSIGN_OR_RETURN(const uint32_t groups_used, config.count_or("topk_group", 1, 1, groups));
  plan.key("expert_feed_forward_length", inner);
  plan.key("expert_shared_count", shared);
  plan.key("expert_gating_func", kSigmoid);
  plan.key("expert_weights_scale", scale);
  plan.key("expert_weights_norm", normalised);
  plan.key("expert_group_count", groups);
  plan.key("expert_group_used_count", groups_used);
  return ExpertNames{.inner = inner,
                     .choice_bias = "gate.e_score_correction_bias",
                     .shared = {"shared_experts"},
                     .shared_inner = shared * inner};
}

Status describe(const Json& config, Plan& plan) {
  const DecoderDefaults defaults{.kv_heads = 8, .head = 128, .context = 131072, .epsilon = 1e-5, .rotated = 0.5};
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(config, defaults, plan));
  ASSIGN_OR_RETURN(const ExpertNames experts, read_routing(config, plan));
  ASSIGN_OR_RETURN(const uint32_t dense, config.count_or("first_k_dense_replace", 1, 0, decoder.layers));
  ASSIGN_OR_RETURN(const bool head_norms, config.boolean_or("use_qk_norm", false));
  plan.key("leading_dense_block_count", dense);
  TRY(leave_out_predictors(config, decoder, plan));
  TRY(add_rope_scaling(config, decoder, plan));
  LayerNames names = {.norms = kNorms_between};
  if (head_norms) names.q_norm = "q_norm", names.k_norm = "k_norm";
  TRY(add_ends(decoder, plan));
  for (uint32_t i = 0; i < decoder.layers; ++i) {
    TRY(add_norms(decoder, names, i, plan));
    TRY(add_attention(decoder, names, i, plan));
    TRY(i < dense ? add_feed_forward(decoder, names, i, plan) : add_experts(decoder, experts, i, plan));
  }
  return {};
}

const Family kFamily{{"Glm4MoeForCausalLM"}, "glm4moe", describe};
const RegisterFamily registered(&kFamily);

}  // namespace
}  // namespace hearth::convert
