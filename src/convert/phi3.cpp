// Phi 3, 3.5 and 4 (Abdin et al. 2024): q, k and v in one matrix, gate and up in another.
#include "convert/decoder.h"

namespace hearth::convert {
namespace {

Status describe(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const Decoder decoder,
                   read_decoder(config, {.context = 4096, .vocabulary = 32064, .epsilon = 1e-5}, plan));
  // 0 is written as well: without the key, old files of some sizes are taken to have a window.
  ASSIGN_OR_RETURN(const uint32_t window, config.count_or("sliding_window", 0, 0, 1u << 30));
  plan.key("attention.sliding_window", window);
  TRY(add_rope_scaling(config, decoder, plan));
  return add_tensors(decoder, {.fused = true, .gate_in_up = true, .feed_forward = {.up = "gate_up_proj"}}, plan);
}

const Family kPhi3{{"Phi3ForCausalLM"}, "phi3", describe};
const RegisterFamily registered(&kPhi3);

}  // namespace
}  // namespace hearth::convert
