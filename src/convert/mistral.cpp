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
  TRY(read_experts(config, "num_local_experts", "num_experts_per_tok", plan));
  TRY(add_window(config, plan));
  TRY(add_rope_scaling(config, decoder, plan));
  const LayerNames names = {.reordered = true};
  TRY(add_ends(decoder, plan));
  for (uint32_t i = 0; i < decoder.layers; ++i) {
    TRY(add_norms(decoder, names, i, plan));
    TRY(add_attention(decoder, names, i, plan));
    TRY(add_experts(decoder,
                    {.module = "block_sparse_moe", .parts = {"experts", "w1", "w3", "w2"}, .inner = decoder.inner}, i,
                    plan));
  }
  return {};
}

bool has_mistral_as_text(const Json& config) {
  return is_text_of(config, "mistral");
}

// Mistral Small 3.1 and 3.2.
Status describe_part(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const Json text, text_part(config, plan));
  return describe(text, plan);
}

const Family kMistral{{"MistralForCausalLM"}, "llama", describe};
const Family kMixtral{{"MixtralForCausalLM"}, "llama", describe_mixtral};
const Family kWith_pictures{{"Mistral3ForConditionalGeneration"}, "llama", describe_part, has_mistral_as_text};
const RegisterFamily registered(&kMistral);
const RegisterFamily registered_with_pictures(&kWith_pictures);
const RegisterFamily registered_mixtral(&kMixtral);

}  // namespace
}  // namespace hearth::convert
