// StableLM (Bellagente et al. 2024): as Llama, with layer norms and a rope on a part of each head.
#include "convert/decoder.h"

namespace hearth::convert {
namespace {

Status describe(const Json& config, Plan& plan) {
  const DecoderDefaults defaults{.context = 4096,
                                 .vocabulary = 50304,
                                 .epsilon = 1e-5,
                                 .rotated = 0.25,
                                 .layer_norms = true,
                                 .epsilon_key = "layer_norm_eps"};
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(config, defaults, plan));
  TRY(require_false(config, "use_parallel_residual"));
  TRY(require_false(config, "qk_layernorm"));
  TRY(add_rope_scaling(config, decoder, plan));
  return add_tensors(decoder, {}, plan);
}

const Family kFamily{{"StableLmForCausalLM"}, "stablelm", describe};
const RegisterFamily registered(&kFamily);

}  // namespace
}  // namespace hearth::convert
