// Ministral 3 (Mistral AI 2025): as Llama, with queries that grow beyond the context of the first training.
#include "convert/decoder.h"

namespace hearth::convert {
namespace {

Status describe(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const bool tied, config.boolean_or("tie_word_embeddings", false));
  ASSIGN_OR_RETURN(const Json text, text_part(config, plan));
  const DecoderDefaults defaults{
      .kv_heads = 8, .head = 128, .context = 262144, .epsilon = 1e-5, .rope_base = 1e6, .tied = tied};
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(text, defaults, plan));
  TRY(add_rope_scaling(text, decoder, plan, 1));
  ASSIGN_OR_RETURN(const std::optional<Json> rope, text.child("rope_parameters"));
  if (rope && rope->has("llama_4_scaling_beta")) {
    ASSIGN_OR_RETURN(const double growth, rope->number("llama_4_scaling_beta"));
    plan.key("attention.temperature_scale", growth);
  }
  return add_tensors(decoder, {.reordered = true}, plan);
}

bool fits(const Json& config) {
  return is_text_of(config, "ministral3");
}

const Family kFamily{{"Ministral3ForCausalLM", "Mistral3ForConditionalGeneration"}, "mistral3", describe, fits};
const RegisterFamily registered(&kFamily);

}  // namespace
}  // namespace hearth::convert
