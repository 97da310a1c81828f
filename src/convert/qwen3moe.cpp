// Qwen 3 with experts (Yang et al. 2025): as the dense ones, with experts in every layer. Also the part for text of
// Qwen 3 VL with experts.
#include "base/error.h"
#include "convert/qwen.h"

namespace hearth::convert {
namespace {

const LayerNames kNames = {.q_norm = "q_norm", .k_norm = "k_norm"};

Status describe_with(const Json& config, bool tied, Plan& plan) {
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(config, {.head = 128, .context = 32768, .tied = tied}, plan));
  TRY(require_false(config, "use_sliding_window"));
  TRY(require_experts_everywhere(config));
  TRY(read_experts(config, "num_experts", "num_experts_per_tok", plan));
  ASSIGN_OR_RETURN(const uint32_t inner, config.count_or("moe_intermediate_size", 768, 1, 1 << 20));
  plan.key("expert_feed_forward_length", inner);
  TRY(add_rope_scaling(config, decoder, plan));
  TRY(add_ends(decoder, plan));
  for (uint32_t i = 0; i < decoder.layers; ++i) {
    TRY(add_norms(decoder, kNames, i, plan));
    TRY(add_attention(decoder, kNames, i, plan));
    TRY(add_experts(decoder, {.inner = inner}, i, plan));
  }
  return {};
}

Status describe(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const bool normalised, config.boolean_or("norm_topk_prob", false));
  if (!normalised)
    return error(ErrorKind::kUnsupported, "{}: norm_topk_prob is false, which files of qwen3moe cannot say",
                 config.file());
  return describe_with(config, false, plan);
}

// It always makes the weights of the chosen experts add up to one: its norm_topk_prob says nothing.
Status describe_seeing(const Json& config, Plan& plan) {
  return describe_seeing_part(config, plan, describe_with);
}

const Family kFamily{{"Qwen3MoeForCausalLM"}, "qwen3moe", describe};
const Family kSeeing{{"Qwen3VLMoeForConditionalGeneration"}, "qwen3vlmoe", describe_seeing};
const RegisterFamily registered(&kFamily);
const RegisterFamily registered_seeing(&kSeeing);

}  // namespace
}  // namespace hearth::convert
