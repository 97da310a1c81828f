// ERNIE 4.5, dense and with experts (Baidu 2025): as Llama, but its checkpoints rotate neighbours already.
#include "convert/decoder.h"

namespace hearth::convert {
namespace {

constexpr DecoderDefaults kDefaults{.context = 131072, .epsilon = 1e-5, .rope_base = 5e5, .tied = true};

Status describe(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(config, kDefaults, plan));
  TRY(require_false(config, "use_bias"));
  TRY(add_rope_scaling(config, decoder, plan));
  return add_tensors(decoder, {}, plan);
}

// Layers from `first` to `last`, every `step`th.
struct Experts {
  uint32_t inner = 0, shared = 0, first = 0, last = 0, step = 1;
  bool in(uint32_t layer) const { return (layer + 1) % step == 0 && layer >= first && layer <= last; }
};
Result<Experts> read_sizes(const Json& config, const Decoder& decoder, Plan& plan) {
  TRY(read_experts(config, "moe_num_experts", "moe_k", plan));
  Experts experts;
  ASSIGN_OR_RETURN(experts.inner, config.count("moe_intermediate_size", 1, 1 << 20));
  ASSIGN_OR_RETURN(const uint32_t shared, config.count_or("moe_num_shared_experts", 2, 0, 1024));
  ASSIGN_OR_RETURN(experts.first, config.count_or("moe_layer_start_index", 1, 0, decoder.layers));
  ASSIGN_OR_RETURN(const double last, config.number_or("moe_layer_end_index", -1));
  ASSIGN_OR_RETURN(experts.step, config.count_or("moe_layer_interval", 1, 1, decoder.layers));
  experts.last = last < 0 ? decoder.layers - 1 : static_cast<uint32_t>(std::min(last, decoder.layers - 1.0));
  experts.shared = shared * experts.inner;
  plan.key("expert_feed_forward_length", experts.inner);
  plan.key("expert_shared_count", shared);
  plan.key("expert_shared_feed_forward_length", experts.shared);
  plan.key("interleave_moe_layer_step", experts.step);
  plan.key("leading_dense_block_count", experts.first);
  return experts;
}

Status describe_with_experts(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(config, kDefaults, plan));
  TRY(require_false(config, "use_bias"));
  ASSIGN_OR_RETURN(const Experts experts, read_sizes(config, decoder, plan));
  TRY(add_rope_scaling(config, decoder, plan));
  for (const char* predictor : {"mtp_block.", "mtp_emb_norm.", "mtp_hidden_norm.", "mtp_linear_proj."})
    plan.leave_out_all(decoder.prefix + predictor);
  TRY(add_ends(decoder, plan));
  for (uint32_t i = 0; i < decoder.layers; ++i) {
    TRY(add_norms(decoder, {}, i, plan));
    TRY(add_attention(decoder, {}, i, plan));
    if (!experts.in(i)) {
      TRY(add_feed_forward(decoder, LayerNames{}, i, plan));
      continue;
    }
    TRY(add_experts(decoder, {.inner = experts.inner, .shared = {"shared_experts"}, .shared_inner = experts.shared}, i,
                    plan));
    TRY(plan.arranged(fmt::format("blk.{}.exp_probs_b.bias", i), {plan.experts},
                      {{decoder.layer(i) + "mlp.moe_statics.e_score_correction_bias", {1, plan.experts}}}));
  }
  return {};
}

const Family kFamily{{"Ernie4_5ForCausalLM", "Ernie4_5_ForCausalLM"}, "ernie4_5", describe};
const Family kWith_experts{{"Ernie4_5_MoeForCausalLM"}, "ernie4_5-moe", describe_with_experts};
const RegisterFamily registered(&kFamily);
const RegisterFamily registered_2(&kWith_experts);

}  // namespace
}  // namespace hearth::convert
