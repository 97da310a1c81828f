// OLMo 2 and 3 (OLMo Team 2025): norms behind attention and feed-forward only, q and k normalised over all heads at
// once. OLMo 3 has a window in three of four layers, and its scaled rope in the fourth.
#include "convert/decoder.h"

namespace hearth::convert {
namespace {

const LayerNames kNames = {.q_norm = "q_norm", .k_norm = "k_norm", .whole_norms = true, .norms = kNorms_behind};

Status describe(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const Decoder decoder,
                   read_decoder(config, {.context = 2048, .vocabulary = 50304, .epsilon = 1e-5}, plan));
  TRY(require_false(config, "attention_bias"));
  TRY(add_rope_scaling(config, decoder, plan));
  return add_tensors(decoder, kNames, plan);
}

Status describe_3(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const uint32_t window, config.count_or("sliding_window", 4096, 1, 1u << 30));
  plan.key("attention.sliding_window", window);
  TRY(describe(config, plan));
  return require_windows(config, plan.layers, 4);
}

const Family kOlmo2{{"Olmo2ForCausalLM"}, "olmo2", describe};
const Family kOlmo3{{"Olmo3ForCausalLM"}, "olmo2", describe_3};
const RegisterFamily registered(&kOlmo2);
const RegisterFamily registered_2(&kOlmo3);

}  // namespace
}  // namespace hearth::convert
