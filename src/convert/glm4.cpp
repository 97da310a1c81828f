// GLM-4-0414 (GLM Team 2024): norms before and behind both parts, gate and up in one matrix.
#include "convert/decoder.h"

namespace hearth::convert {
namespace {

const LayerNames kNames = {.gate_in_up = true,
                           .norms = {{"attn_norm", "input_layernorm"},
                                     {"post_attention_norm", "post_self_attn_layernorm"},
                                     {"ffn_norm", "post_attention_layernorm"},
                                     {"post_ffw_norm", "post_mlp_layernorm"}},
                           .feed_forward = {.up = "gate_up_proj"}};

Status describe(const Json& config, Plan& plan) {
  const DecoderDefaults defaults{.kv_heads = 2, .head = 128, .context = 131072, .epsilon = 1.5625e-7, .rotated = 0.5};
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(config, defaults, plan));
  TRY(add_rope_scaling(config, decoder, plan));
  return add_tensors(decoder, kNames, plan);
}

const Family kFamily{{"Glm4ForCausalLM"}, "glm4", describe};
const RegisterFamily registered(&kFamily);

}  // namespace
}  // namespace hearth::convert
