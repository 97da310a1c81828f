// Qwen 3 (Yang et al. 2025), dense: norms on the heads of q and k in place of biases.
#include "convert/decoder.h"

namespace hearth::convert {
namespace {

Status describe(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(config, {.head = 128, .context = 32768}, plan));
  TRY(require_false(config, "use_sliding_window"));
  TRY(add_rope_scaling(config, decoder, plan));
  return add_tensors(decoder, {.qk_norms = true}, plan);
}

const Family kQwen3{{"Qwen3ForCausalLM"}, "qwen3", describe};
const RegisterFamily registered(&kQwen3);

}  // namespace
}  // namespace hearth::convert
