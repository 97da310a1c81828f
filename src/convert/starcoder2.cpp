// StarCoder 2 (Lozhkov et al. 2024): layer norms, biases everywhere, GELU without a gate.
#include "convert/decoder.h"

namespace hearth::convert {
namespace {

Status describe(const Json& config, Plan& plan) {
  const DecoderDefaults defaults{.kv_heads = 2,
                                 .context = 4096,
                                 .vocabulary = 49152,
                                 .epsilon = 1e-5,
                                 .tied = true,
                                 .layer_norms = true,
                                 .epsilon_key = "norm_epsilon",
                                 .activation = "gelu_pytorch_tanh"};
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(config, defaults, plan));
  TRY(require_text(config, "mlp_type", "default"));
  TRY(require_text(config, "norm_type", "layer_norm"));
  ASSIGN_OR_RETURN(const uint32_t window, config.count_or("sliding_window", 0, 0, 1u << 30));
  if (window != 0) plan.key("attention.sliding_window", window);
  TRY(add_rope_scaling(config, decoder, plan));
  return add_tensors(decoder, {.feed_forward = {"mlp", nullptr, "c_fc", "c_proj"}}, plan);
}

const Family kFamily{{"Starcoder2ForCausalLM"}, "starcoder2", describe};
const RegisterFamily registered(&kFamily);

}  // namespace
}  // namespace hearth::convert
