// Qwen 3 with experts (Yang et al. 2025): as the dense ones, with experts in every layer.
#include "base/error.h"
#include "convert/decoder.h"

namespace hearth::convert {
namespace {

// Layers without experts, which no published model has.
Status require_experts_everywhere(const Json& config) {
  ASSIGN_OR_RETURN(const uint32_t step, config.count_or("decoder_sparse_step", 1, 1, 4096));
  const boost::json::value* dense = config.find("mlp_only_layers");
  if (step == 1 && (dense == nullptr || (dense->is_array() && dense->get_array().empty()))) return {};
  return error(ErrorKind::kUnsupported, "{}: {} asks for layers without experts, which is not supported", config.file(),
               step == 1 ? "mlp_only_layers" : "decoder_sparse_step");
}

Status describe(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(config, {.head = 128, .context = 32768}, plan));
  TRY(require_false(config, "use_sliding_window"));
  TRY(require_experts_everywhere(config));
  ASSIGN_OR_RETURN(plan.experts, config.count_or("num_experts", 128, 1, 65536));
  ASSIGN_OR_RETURN(const uint32_t used, config.count_or("num_experts_per_tok", 8, 1, plan.experts));
  ASSIGN_OR_RETURN(const uint32_t inner, config.count_or("moe_intermediate_size", 768, 1, 1 << 20));
  ASSIGN_OR_RETURN(const bool normalised, config.boolean_or("norm_topk_prob", false));
  plan.key("expert_count", plan.experts);
  plan.key("expert_used_count", used);
  plan.key("expert_feed_forward_length", inner);
  if (!normalised)
    return error(ErrorKind::kUnsupported, "{}: norm_topk_prob is false, which files of qwen3moe cannot say",
                 config.file());
  TRY(add_rope_scaling(config, decoder, plan));
  TRY(add_experts(decoder, "mlp", inner, {{"gate", "gate_proj"}, {"up", "up_proj"}, {"down", "down_proj"}}, plan));
  return add_tensors(decoder, {.qk_norms = true, .feed_forward = false}, plan);
}

const Family kFamily{{"Qwen3MoeForCausalLM"}, "qwen3moe", describe};
const RegisterFamily registered(&kFamily);

}  // namespace
}  // namespace hearth::convert
