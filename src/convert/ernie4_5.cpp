// ERNIE 4.5, dense (Baidu 2025): as Llama, but its checkpoints rotate neighbours already.
#include "convert/decoder.h"

namespace hearth::convert {
namespace {

Status describe(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const Decoder decoder,
                   read_decoder(config, {.context = 131072, .epsilon = 1e-5, .rope_base = 5e5, .tied = true}, plan));
  TRY(require_false(config, "use_bias"));
  TRY(add_rope_scaling(config, decoder, plan));
  return add_tensors(decoder, {}, plan);
}

const Family kFamily{{"Ernie4_5ForCausalLM", "Ernie4_5_ForCausalLM"}, "ernie4_5", describe};
const RegisterFamily registered(&kFamily);

}  // namespace
}  // namespace hearth::convert
