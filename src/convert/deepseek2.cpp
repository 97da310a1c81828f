// DeepSeek V2 and V3 with their kin (DeepSeek-AI 2024): latent attention, experts that are chosen by groups with a
// bias, experts that every token uses. Its checkpoints rotate neighbours already.
#include "base/error.h"
#include "convert/decoder.h"

namespace hearth::convert {
namespace {

struct Latent {
  uint64_t rank = 0, query_rank = 0, rope = 0, key = 0, value = 0;  // key: without the part that rotates
};

Result<Latent> read_latent(const Json& config, const Decoder& decoder, Plan& plan) {
  Latent latent;
  ASSIGN_OR_RETURN(latent.rank, config.count("kv_lora_rank", 1, 1 << 13));
  ASSIGN_OR_RETURN(latent.query_rank, config.count_or("q_lora_rank", 0, 0, 1 << 20));
  ASSIGN_OR_RETURN(latent.rope, config.count("qk_rope_head_dim", 2, 1 << 13));
  ASSIGN_OR_RETURN(latent.key, config.count("qk_nope_head_dim", 1, 1 << 13));
  ASSIGN_OR_RETURN(latent.value, config.count("v_head_dim", 1, 1 << 13));
  if (latent.rope % 2 != 0) return config.invalid("qk_rope_head_dim", "is odd");
  for (const auto& [key, value] : {std::pair("attention.kv_lora_rank", latent.rank),
                                   {"attention.head_count_kv", uint64_t{1}},
                                   {"attention.key_length", latent.rank + latent.rope},
                                   {"attention.value_length", latent.rank},
                                   {"attention.key_length_mla", latent.key + latent.rope},
                                   {"attention.value_length_mla", latent.value},
                                   {"rope.dimension_count", latent.rope}})
    plan.key(key, static_cast<uint32_t>(value));
  if (latent.query_rank != 0) plan.key("attention.q_lora_rank", static_cast<uint32_t>(latent.query_rank));
  plan.kv_heads = decoder.heads;  // as many values as queries, once they are made
  return latent;
}

Result<uint32_t> read_gating(const Json& config) {
  constexpr uint32_t kSoftmax = 1, kSigmoid = 2;  // in GGUF files
  ASSIGN_OR_RETURN(const std::string scores, config.text_or("scoring_func", "softmax"));
  if (scores == "softmax") return kSoftmax;
  if (scores == "sigmoid") return kSigmoid;
  return error(ErrorKind::kUnsupported, "{}: scoring_func '{}' is not supported", config.file(), scores);
}

// Groups are chosen by their two best experts; V2's largest chooses by the best one, which files cannot say.
Status add_groups(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const uint32_t groups, config.count_or("n_group", 1, 1, plan.experts));
  if (groups == 1) return {};
  ASSIGN_OR_RETURN(const uint32_t used, config.count("topk_group", 1, groups));
  ASSIGN_OR_RETURN(const std::string method, config.text_or("topk_method", "noaux_tc"));
  if (method != "noaux_tc" && used != groups)
    return error(ErrorKind::kUnsupported, "{}: topk_method '{}' with groups is not supported", config.file(), method);
  plan.key("expert_group_count", groups);
  plan.key("expert_group_used_count", used);
  return {};
}

Result<ExpertNames> read_routing(const Json& config, Plan& plan) {
  TRY(read_experts(config, "n_routed_experts", "num_experts_per_tok", plan));
  ASSIGN_OR_RETURN(const uint32_t inner, config.count("moe_intermediate_size", 1, 1 << 20));
  ASSIGN_OR_RETURN(const uint32_t shared, config.count_or("n_shared_experts", 0, 0, 1024));
  ASSIGN_OR_RETURN(const bool normalised, config.boolean_or("norm_topk_prob", false));
  ASSIGN_OR_RETURN(const double scale, config.number_or("routed_scaling_factor", 1));
  ASSIGN_OR_RETURN(const uint32_t gating, read_gating(config));
  ASSIGN_OR_RETURN(const std::string method, config.text_or("topk_method", gating == 2 ? "noaux_tc" : "greedy"));
  TRY(add_groups(config, plan));
  plan.key("expert_feed_forward_length", inner);
  plan.key("expert_shared_count", shared);
  plan.key("expert_gating_func", gating);
  plan.key("expert_weights_scale", scale);
  plan.key("expert_weights_norm", normalised);
  return ExpertNames{.inner = inner,
                     .choice_bias = method == "noaux_tc" ? "gate.e_score_correction_bias" : nullptr,
                     .shared = {"shared_experts"},
                     .shared_inner = shared * inner};
}

// Keys and values of all heads are made of the latent vector by one matrix; files have one for each, the keys' turned,
// so that queries can be brought to the vector instead.
Status split_heads(const Latent& l, uint64_t heads, const std::string& block, const std::string& source, Plan& plan) {
  const uint64_t each = l.key + l.value, rank = l.rank, key = l.key, value = l.value;
  const Needed both{source + "kv_b_proj.weight", {heads * each, rank}};
  TRY(plan.arranged(block + "attn_k_b.weight", {key, rank, heads}, {both}, {.row = [=](uint64_t row) -> RowPlace {
                      return {0, row / rank * each * rank + row % rank, rank};
                    }}));
  return plan.arranged(block + "attn_v_b.weight", {rank, value, heads}, {both}, {.row = [=](uint64_t row) -> RowPlace {
                         return {0, (row / value * each + key + row % value) * rank, 1};
                       }});
}

Status add_latent(const Latent& l, const Decoder& decoder, uint32_t index, Plan& plan) {
  const std::string block = fmt::format("blk.{}.", index), source = decoder.layer(index) + "self_attn.";
  const uint64_t heads = decoder.heads, q = heads * (l.key + l.rope), width = decoder.width;
  if (l.query_rank == 0) {
    TRY(add_linear(plan, block + "attn_q", source + "q_proj", q, width));
  } else {
    TRY(add_linear(plan, block + "attn_q_a", source + "q_a_proj", l.query_rank, width));
    TRY(add_norm(plan, block + "attn_q_a_norm", source + "q_a_layernorm", l.query_rank));
    TRY(add_linear(plan, block + "attn_q_b", source + "q_b_proj", q, l.query_rank));
  }
  TRY(add_linear(plan, block + "attn_kv_a_mqa", source + "kv_a_proj_with_mqa", l.rank + l.rope, width));
  TRY(add_norm(plan, block + "attn_kv_a_norm", source + "kv_a_layernorm", l.rank));
  TRY(split_heads(l, heads, block, source, plan));
  plan.leave_out(source + "rotary_emb.inv_freq");
  return add_linear(plan, block + "attn_output", source + "o_proj", width, heads * l.value);
}

Status describe(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(config, {.context = 2048}, plan));
  ASSIGN_OR_RETURN(const Latent latent, read_latent(config, decoder, plan));
  ASSIGN_OR_RETURN(const ExpertNames experts, read_routing(config, plan));
  ASSIGN_OR_RETURN(const uint32_t dense, config.count_or("first_k_dense_replace", 0, 0, decoder.layers));
  ASSIGN_OR_RETURN(const uint32_t step, config.count_or("moe_layer_freq", 1, 1, decoder.layers));
  plan.key("leading_dense_block_count", dense);
  TRY(leave_out_predictors(config, decoder, plan));
  TRY(add_rope_scaling(config, decoder, plan, 0.1));
  TRY(add_ends(decoder, plan));
  for (uint32_t i = 0; i < decoder.layers; ++i) {
    TRY(add_norms(decoder, {}, i, plan));
    TRY(add_latent(latent, decoder, i, plan));
    TRY(i < dense || i % step != 0 ? add_feed_forward(decoder, LayerNames{}, i, plan)
                                   : add_experts(decoder, experts, i, plan));
  }
  return {};
}

const Family kFamily{{"DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM"}, "deepseek2", describe};
const RegisterFamily registered(&kFamily);

}  // namespace
}  // namespace hearth::convert
