// Hunyuan, dense and with experts (Tencent 2025): norms on the heads of q and k; a rope whose base grows with what its
// configuration calls alpha.
#include <cmath>

#include "convert/decoder.h"

namespace hearth::convert {
namespace {

constexpr uint32_t kStretched_context = 256 << 10;  // that alpha is for, by the model cards

// Keeps the fastest pair and stretches the others ("NTK-aware scaling").
Status add_rope(const Json& config, const Decoder& decoder, Plan& plan) {
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    ASSIGN_OR_RETURN(const std::optional<Json> scaling, config.child(key));
    if (!scaling || !scaling->has("alpha")) continue;
    ASSIGN_OR_RETURN(const double alpha, scaling->number("alpha"));
    if (!(alpha >= 1 && alpha <= 1e6)) return scaling->invalid("alpha", fmt::format("is {}", alpha));
    plan.key("rope.freq_base", decoder.rope_base * std::pow(alpha, decoder.head / (decoder.head - 2.0)));
    plan.key("rope.scaling.type", "none");
    plan.key("context_length", std::max(decoder.context, kStretched_context));
    return {};
  }
  return add_rope_scaling(config, decoder, plan);
}

const LayerNames kNames = {.q_norm = "query_layernorm", .k_norm = "key_layernorm"};

Status describe(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(config, {.context = 2048, .epsilon = 1e-5}, plan));
  TRY(require_true(config, "use_qk_norm", true));
  TRY(require_false(config, "use_cla"));
  TRY(add_rope(config, decoder, plan));
  return add_tensors(decoder, kNames, plan);
}

Status describe_with_experts(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(config, {.context = 2048, .epsilon = 1e-5}, plan));
  TRY(require_true(config, "use_qk_norm", true));
  TRY(require_false(config, "use_cla"));
  TRY(require_true(config, "use_mixed_mlp_moe", true));
  ASSIGN_OR_RETURN(plan.experts, same_for_all(config, "num_experts", 0, 1, 1 << 16));
  ASSIGN_OR_RETURN(const uint32_t used, same_for_all(config, "moe_topk", 1, 1, plan.experts));
  ASSIGN_OR_RETURN(const uint32_t inner, same_for_all(config, "moe_intermediate_size", decoder.inner, 1, 1 << 20));
  ASSIGN_OR_RETURN(const uint32_t shared, same_for_all(config, "num_shared_expert", 1, 1, 1));
  plan.key("expert_count", plan.experts);
  plan.key("expert_used_count", used);
  plan.key("expert_feed_forward_length", inner);
  plan.key("expert_shared_count", shared);
  plan.key("expert_shared_feed_forward_length", decoder.inner);
  TRY(add_rope(config, decoder, plan));
  TRY(add_ends(decoder, plan));
  const ExpertNames experts = {
      .router = "gate.wg", .inner = inner, .shared = {"shared_mlp"}, .shared_inner = decoder.inner};
  for (uint32_t i = 0; i < decoder.layers; ++i) {
    TRY(add_norms(decoder, kNames, i, plan));
    TRY(add_attention(decoder, kNames, i, plan));
    TRY(add_experts(decoder, experts, i, plan));
  }
  return {};
}

const Family kDense{{"HunYuanDenseV1ForCausalLM"}, "hunyuan-dense", describe};
const Family kWith_experts{{"HunYuanMoEV1ForCausalLM"}, "hunyuan-moe", describe_with_experts};
const RegisterFamily registered(&kDense);
const RegisterFamily registered_2(&kWith_experts);

}  // namespace
}  // namespace hearth::convert
