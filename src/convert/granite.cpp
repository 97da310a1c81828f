// Granite 3 and 4, dense (IBM 2024): as Llama, with scales on embeddings, attention, results and logits.
#include "convert/decoder.h"

namespace hearth::convert {
namespace {

Status describe(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(config, {.context = 2048, .vocabulary = 32000}, plan));
  for (const auto& [theirs, ours] : {std::pair("embedding_multiplier", "embedding_scale"),
                                     {"residual_multiplier", "residual_scale"},
                                     {"attention_multiplier", "attention.scale"},
                                     {"logits_scaling", "logit_scale"}}) {
    ASSIGN_OR_RETURN(const double scale, config.number_or(theirs, 1));
    if (!(scale > 0 && scale <= 1e6)) return config.invalid(theirs, fmt::format("is {}", scale));
    plan.key(ours, scale);
  }
  TRY(add_rope_scaling(config, decoder, plan));
  return add_tensors(decoder, {.reordered = true}, plan);
}

const Family kFamily{{"GraniteForCausalLM"}, "granite", describe};
const RegisterFamily registered(&kFamily);

}  // namespace
}  // namespace hearth::convert
