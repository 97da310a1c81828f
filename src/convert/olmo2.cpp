// OLMo 2 (OLMo Team 2025): norms behind attention and feed-forward only, q and k normalised over all heads at once.
#include "convert/decoder.h"

namespace hearth::convert {
namespace {

Status describe(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const Decoder decoder,
                   read_decoder(config, {.context = 2048, .vocabulary = 50304, .epsilon = 1e-5}, plan));
  TRY(require_false(config, "attention_bias"));
  TRY(add_rope_scaling(config, decoder, plan));
  return add_tensors(decoder, {.qk_norms = true, .whole_norms = true, .norms_behind = true}, plan);
}

const Family kFamily{{"Olmo2ForCausalLM"}, "olmo2", describe};
const RegisterFamily registered(&kFamily);

}  // namespace
}  // namespace hearth::convert
