// Phi 1, 1.5 and 2 (Li et al. 2023; Javaheripi et al. 2023): attention and feed-forward side by side behind one norm,
// biases everywhere, a rope on a part of each head.
#include "convert/decoder.h"

namespace hearth::convert {
namespace {

Status describe(const Json& config, Plan& plan) {
  const DecoderDefaults defaults{.context = 2048,
                                 .vocabulary = 51200,
                                 .epsilon = 1e-5,
                                 .rotated = 0.5,
                                 .layer_norms = true,
                                 .epsilon_key = "layer_norm_eps",
                                 .activation = "gelu_new"};
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(config, defaults, plan));
  TRY(require_false(config, "qk_layernorm"));
  TRY(add_rope_scaling(config, decoder, plan));
  const LayerNames names = {
      .norms = {{"attn_norm", "input_layernorm"}}, .output = "dense", .feed_forward = {"mlp", nullptr, "fc1", "fc2"}};
  TRY(add_ends(decoder, plan, 0, {"output_norm", "final_layernorm"}));
  if (plan.has("lm_head.bias")) TRY(plan.vector("output.bias", "lm_head.bias", decoder.vocabulary));
  for (uint32_t i = 0; i < decoder.layers; ++i) TRY(add_layer(decoder, names, i, plan));
  return {};
}

const Family kFamily{{"PhiForCausalLM"}, "phi2", describe};
const RegisterFamily registered(&kFamily);

}  // namespace
}  // namespace hearth::convert
