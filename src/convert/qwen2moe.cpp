// Qwen 1.5 and 2 with experts (Qwen Team 2024): biases on q, k and v, and one more expert that every token uses to a
// share of its own.
#include "convert/qwen.h"

namespace hearth::convert {
namespace {

Status describe(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(config, {.kv_heads = 16, .context = 32768}, plan));
  TRY(require_false(config, "use_sliding_window"));
  TRY(read_experts(config, "num_experts", "num_experts_per_tok", plan));
  ASSIGN_OR_RETURN(const GatedShare sizes, read_gated_share(config, 1408, 5632, plan));
  ASSIGN_OR_RETURN(const bool normalised, config.boolean_or("norm_topk_prob", false));
  plan.key("expert_weights_norm", normalised);
  TRY(require_experts_everywhere(config));
  TRY(add_rope_scaling(config, decoder, plan));
  TRY(add_ends(decoder, plan));
  for (uint32_t i = 0; i < decoder.layers; ++i) {
    TRY(add_norms(decoder, {}, i, plan));
    TRY(add_attention(decoder, {}, i, plan));
    TRY(add_experts_and_share(decoder, sizes, i, plan));
  }
  return {};
}

const Family kFamily{{"Qwen2MoeForCausalLM"}, "qwen2moe", describe};
const RegisterFamily registered(&kFamily);

}  // namespace
}  // namespace hearth::convert
