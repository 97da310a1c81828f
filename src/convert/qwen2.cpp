// Qwen 1.5, 2 and 2.5 (Yang et al. 2024): biases on q, k and v.
#include "convert/decoder.h"

namespace hearth::convert {
namespace {

Status describe(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(config, {.context = 32768}, plan));
  TRY(require_false(config, "use_sliding_window"));
  TRY(add_rope_scaling(config, decoder, plan));
  return add_tensors(decoder, {}, plan);
}

const Family kQwen2{{"Qwen2ForCausalLM"}, "qwen2", describe};
const RegisterFamily registered(&kQwen2);

}  // namespace
}  // namespace hearth::convert
