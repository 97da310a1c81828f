// Qwen 3 (Yang et al. 2025), dense: norms on the heads of q and k in place of biases. Also the part for text of
// Qwen 3 VL.
#include "convert/qwen.h"

namespace hearth::convert {
namespace {

Status describe_with(const Json& config, bool tied, Plan& plan) {
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(config, {.head = 128, .context = 32768, .tied = tied}, plan));
  TRY(require_false(config, "use_sliding_window"));
  TRY(add_rope_scaling(config, decoder, plan));
  return add_tensors(decoder, {.q_norm = "q_norm", .k_norm = "k_norm"}, plan);
}

Status describe(const Json& config, Plan& plan) {
  return describe_with(config, false, plan);
}

Status describe_seeing(const Json& config, Plan& plan) {
  return describe_seeing_part(config, plan, describe_with);
}

const Family kQwen3{{"Qwen3ForCausalLM"}, "qwen3", describe};
const Family kQwen3_vl{{"Qwen3VLForConditionalGeneration"}, "qwen3vl", describe_seeing};
const RegisterFamily registered(&kQwen3);
const RegisterFamily registered_vl(&kQwen3_vl);

}  // namespace
}  // namespace hearth::convert
