// Gemma 2 (Gemma Team 2024). Norms are stored less one.
#include "convert/gemma.h"

namespace hearth::convert {
namespace {

Status describe(const Json& config, Plan& plan) {
  const DecoderDefaults defaults{.heads = 8,
                                 .kv_heads = 4,
                                 .head = 256,
                                 .context = 8192,
                                 .vocabulary = 256000,
                                 .tied = true,
                                 .activation = "gelu_pytorch_tanh"};
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(config, defaults, plan));
  TRY(add_gemma_keys(config, decoder, 50, 30, plan));
  ASSIGN_OR_RETURN(const uint32_t window, config.count_or("sliding_window", 4096, 1, 1u << 30));
  plan.key("attention.sliding_window", window);
  TRY(add_rope_scaling(config, decoder, plan));
  return add_tensors(decoder, {.norms = kNorms_around, .add_to_norms = 1}, plan);
}

const Family kGemma2{{"Gemma2ForCausalLM"}, "gemma2", describe};
const RegisterFamily registered(&kGemma2);

}  // namespace
}  // namespace hearth::convert
