// MiniMax M2 (MiniMax 2025): sigmoid routing with a bias on the choice, q and k normalised over all heads at once, a
// part of each head rotates.
#include "convert/decoder.h"

namespace hearth::convert {
namespace {

constexpr uint32_t kSigmoid = 2;  // in GGUF files

Status describe(const Json& config, Plan& plan) {
  const DecoderDefaults defaults{.kv_heads = 8, .head = 128, .context = 196608, .rope_base = 5e6};
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(config, defaults, plan));
  ASSIGN_OR_RETURN(const uint32_t rotated, config.count_or("rotary_dim", decoder.rotated, 2, decoder.head));
  plan.key("rope.dimension_count", rotated);
  TRY(require_true(config, "use_qk_norm", true));
  TRY(require_text(config, "scoring_func", "sigmoid"));
  TRY(read_experts(config, "num_local_experts", "num_experts_per_tok", plan));
  plan.key("expert_feed_forward_length", decoder.inner);
  plan.key("expert_gating_func", kSigmoid);
  TRY(add_rope_scaling(config, decoder, plan));
  const LayerNames names = {.q_norm = "q_norm", .k_norm = "k_norm", .whole_norms = true};
  const ExpertNames experts = {.module = "block_sparse_moe",
                               .parts = {"experts", "w1", "w3", "w2"},
                               .inner = decoder.inner,
                               .choice_bias = "e_score_correction_bias"};
  TRY(add_ends(decoder, plan));
  for (uint32_t i = 0; i < decoder.layers; ++i) {
    TRY(add_norms(decoder, names, i, plan));
    TRY(add_attention(decoder, names, i, plan));
    TRY(add_experts(decoder, experts, i, plan));
  }
  return {};
}

const Family kFamily{{"MiniMaxM2ForCausalLM"}, "minimax-m2", describe};
const RegisterFamily registered(&kFamily);

}  // namespace
}  // namespace hearth::convert
