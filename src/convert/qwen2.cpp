// Qwen 1.5, 2 and 2.5 (Yang et al. 2024): biases on q, k and v. Also the part for text of Qwen 2 VL and 2.5 VL.
#include "convert/qwen.h"

namespace hearth::convert {
namespace {

Status describe_with(const Json& config, bool tied, Plan& plan) {
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(config, {.context = 32768, .tied = tied}, plan));
  TRY(require_false(config, "use_sliding_window"));
  TRY(add_rope_scaling(config, decoder, plan));
  return add_tensors(decoder, {}, plan);
}

Status describe(const Json& config, Plan& plan) {
  return describe_with(config, false, plan);
}

Status describe_seeing(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const bool tied, config.boolean_or("tie_word_embeddings", false));
  ASSIGN_OR_RETURN(const Json text, text_part(config, plan));
  TRY(add_rope_sections(text, plan));
  return describe_with(text, tied, plan);
}

const Family kQwen2{{"Qwen2ForCausalLM"}, "qwen2", describe};
const Family kQwen2_vl{
    {"Qwen2VLForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration"}, "qwen2vl", describe_seeing};
const RegisterFamily registered(&kQwen2);
const RegisterFamily registered_vl(&kQwen2_vl);

}  // namespace
}  // namespace hearth::convert
