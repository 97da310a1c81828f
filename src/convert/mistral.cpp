// Mistral, as Llama with a sliding window in its first version (Jiang et al. 2023), and Mixtral, with experts (Jiang et
// al. 2024). GGUF knows both as "llama".
#include "base/error.h"
#include "convert/decoder.h"

namespace hearth::convert {
namespace {

Status add_window(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const uint32_t window, config.count_or("sliding_window", 0, 0, 1u << 30));
  if (window != 0) plan.key("attention.sliding_window", window);
  return {};
}

Status describe(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(config, {.kv_heads = 8, .context = 131072}, plan));
  TRY(add_window(config, plan));
  TRY(add_rope_scaling(config, decoder, plan));
  return add_tensors(decoder, {.reordered = true}, plan);
}

Status describe_mixtral(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const Decoder decoder,
                   read_decoder(config, {.kv_heads = 8, .context = 131072, .epsilon = 1e-5, .rope_base = 1e6}, plan));
  ASSIGN_OR_RETURN(plan.experts, config.count_or("num_local_experts", 8, 1, 1024));
  ASSIGN_OR_RETURN(const uint32_t used, config.count_or("num_experts_per_tok", 2, 1, plan.experts));
  plan.key("expert_count", plan.experts);
  plan.key("expert_used_count", used);
  TRY(add_window(config, plan));
  TRY(add_rope_scaling(config, decoder, plan));
  TRY(add_experts(decoder, "block_sparse_moe", decoder.inner, {{"gate", "w1"}, {"down", "w2"}, {"up", "w3"}}, plan));
  return add_tensors(decoder, {.reordered = true, .feed_forward = false}, plan);
}

const Family kMistral{{"MistralForCausalLM"}, "llama", describe};
const Family kMixtral{{"MixtralForCausalLM"}, "llama", describe_mixtral};
const RegisterFamily registered(&kMistral);
const RegisterFamily registered_mixtral(&kMixtral);

}  // namespace
}  // namespace hearth::convert
