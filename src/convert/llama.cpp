// Llama 1 to 3 and what shares its classes: deepseek-coder, SmolLM, TinyLlama, Yi. Touvron et al. 2023.
#include "convert/decoder.h"

namespace hearth::convert {
namespace {

Status describe(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(config, {.context = 2048, .vocabulary = 32000}, plan));
  TRY(add_rope_scaling(config, decoder, plan));
  return add_tensors(decoder, {.reordered = true}, plan);
}

const Family kLlama{{"LlamaForCausalLM", "LLaMAForCausalLM"}, "llama", describe};
const RegisterFamily registered(&kLlama);

}  // namespace
}  // namespace hearth::convert
