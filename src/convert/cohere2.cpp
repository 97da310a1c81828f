// Command R7B and Command A (Cohere 2025): attention and feed-forward side by side behind one norm, windows in three of
// four layers. Its checkpoints rotate neighbours already.
#include "convert/decoder.h"

namespace hearth::convert {
namespace {

Status describe(const Json& config, Plan& plan) {
  const DecoderDefaults defaults{.context = 8192,
                                 .vocabulary = 256000,
                                 .epsilon = 1e-5,
                                 .tied = true,
                                 .layer_norms = true,
                                 .epsilon_key = "layer_norm_eps"};
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(config, defaults, plan));
  TRY(require_false(config, "use_qk_norm"));
  TRY(require_windows(config, decoder.layers, 4));
  ASSIGN_OR_RETURN(const uint32_t window, config.count_or("sliding_window", 4096, 1, 1u << 30));
  plan.key("attention.sliding_window", window);
  ASSIGN_OR_RETURN(const double scale, config.number_or("logit_scale", 0.0625));
  if (!(scale > 0 && scale <= 1e6)) return config.invalid("logit_scale", fmt::format("is {}", scale));
  plan.key("logit_scale", scale);
  TRY(add_rope_scaling(config, decoder, plan));
  return add_tensors(decoder, {.norms = {{"attn_norm", "input_layernorm"}}}, plan);
}

const Family kFamily{{"Cohere2ForCausalLM"}, "cohere2", describe};
const RegisterFamily registered(&kFamily);

}  // namespace
}  // namespace hearth::convert
