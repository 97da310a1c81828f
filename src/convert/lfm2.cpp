// LFM 2, and the one with experts (Liquid AI 2025): gated short convolutions, and attention in some layers.
#include "base/error.h"
#include "convert/decoder.h"

namespace hearth::convert {
namespace {

const LayerNames kNames = {.q_norm = "q_layernorm",
                           .k_norm = "k_layernorm",
                           .norms = {{"attn_norm", "operator_norm"}, {"ffn_norm", "ffn_norm"}},
                           .output = "out_proj",
                           .feed_forward = {"feed_forward", "w1", "w3", "w2"}};

Result<std::vector<uint32_t>> read_kv_heads(const Json& config, const Decoder& decoder) {
  ASSIGN_OR_RETURN(const std::vector<std::string> types, read_layer_types(config, decoder.layers));
  std::vector<uint32_t> kv_heads(decoder.layers, 0);
  for (uint32_t i = 0; i < types.size(); ++i) {
    if (types[i] != "conv" && types[i] != "full_attention")
      return error(ErrorKind::kUnsupported, "{}: layer_types has '{}'; supported are conv and full_attention",
                   config.file(), types[i]);
    if (types[i] == "full_attention") kv_heads[i] = decoder.kv_heads;
  }
  if (!types.empty()) return kv_heads;
  ASSIGN_OR_RETURN(const std::vector<float> attending, config.numbers("full_attn_idxs"));  // of older files
  if (attending.empty()) return config.invalid("layer_types", "is missing");
  for (const float index : attending) {
    if (!(index >= 0 && index < static_cast<float>(decoder.layers)))
      return config.invalid("full_attn_idxs", fmt::format("holds {}", index));
    kv_heads[static_cast<uint32_t>(index)] = decoder.kv_heads;
  }
  return kv_heads;
}

// The width that the matrices have.
Status adjust_inner(const Json& config, Decoder& decoder, Plan& plan) {
  ASSIGN_OR_RETURN(const bool adjusted, config.boolean_or("block_auto_adjust_ff_dim", false));
  if (adjusted) {
    ASSIGN_OR_RETURN(const double factor, config.number_or("block_ffn_dim_multiplier", 1));
    ASSIGN_OR_RETURN(const uint32_t multiple, config.count_or("block_multiple_of", 256, 1, 1 << 20));
    if (!(factor > 0 && factor <= 64)) return config.invalid("block_ffn_dim_multiplier", fmt::format("is {}", factor));
    const auto inner = static_cast<uint64_t>(factor * static_cast<double>(uint64_t{2} * decoder.inner / 3));
    decoder.inner = static_cast<uint32_t>(std::min<uint64_t>((inner + multiple - 1) / multiple * multiple, 1 << 21));
  }
  plan.key("feed_forward_length", decoder.inner);
  return {};
}

Result<Decoder> read(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const bool tied, config.boolean_or("tie_embedding", true));
  const DecoderDefaults defaults{.kv_heads = 8,
                                 .context = 128000,
                                 .vocabulary = 65536,
                                 .epsilon = 1e-5,
                                 .rope_base = 1e6,
                                 .tied = tied,
                                 .epsilon_key = "norm_eps",
                                 .inner_key = config.has("block_ff_dim") ? "block_ff_dim" : "intermediate_size"};
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(config, defaults, plan));
  TRY(require_false(config, "conv_bias"));
  return decoder;
}

Status add_convolution(const Decoder& decoder, uint32_t taps, uint32_t index, Plan& plan) {
  const std::string block = fmt::format("blk.{}.shortconv.", index), source = decoder.layer(index) + "conv.";
  const uint64_t width = decoder.width;
  TRY(add_linear(plan, block + "in_proj", source + "in_proj", 3 * width, width));
  TRY(plan.arranged(block + "conv.weight", {taps, width}, {{source + "conv.weight", {width, 1, taps}}}));
  return add_linear(plan, block + "out_proj", source + "out_proj", width, width);
}

// `dense`: layers without experts.
Status add_layers(const Json& config, const Decoder& decoder, uint32_t dense, const ExpertNames& experts, Plan& plan) {
  ASSIGN_OR_RETURN(const std::vector<uint32_t> kv_heads, read_kv_heads(config, decoder));
  ASSIGN_OR_RETURN(const uint32_t taps, config.count_or("conv_L_cache", 3, 1, 64));
  plan.key("attention.head_count_kv", kv_heads);
  plan.key("shortconv.l_cache", taps);
  TRY(add_rope_scaling(config, decoder, plan));
  TRY(add_ends(decoder, plan, 0, {"token_embd_norm", "embedding_norm"}));
  for (uint32_t i = 0; i < decoder.layers; ++i) {
    TRY(add_norms(decoder, kNames, i, plan));
    TRY(kv_heads[i] != 0 ? add_attention(decoder, kNames, i, plan) : add_convolution(decoder, taps, i, plan));
    TRY(i < dense ? add_feed_forward(decoder, kNames, i, plan) : add_experts(decoder, experts, i, plan));
  }
  return {};
}

Status describe(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(Decoder decoder, read(config, plan));
  TRY(adjust_inner(config, decoder, plan));
  return add_layers(config, decoder, decoder.layers, {}, plan);
}

Status describe_with_experts(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const Decoder decoder, read(config, plan));
  TRY(read_experts(config, "num_experts", "num_experts_per_tok", plan));
  ASSIGN_OR_RETURN(const uint32_t dense, config.count_or("num_dense_layers", 2, 0, decoder.layers));
  ASSIGN_OR_RETURN(const uint32_t inner, config.count_or("moe_intermediate_size", 1792, 1, 1 << 20));
  ASSIGN_OR_RETURN(const double scale, config.number_or("routed_scaling_factor", 1));
  ASSIGN_OR_RETURN(const bool biased, config.boolean_or("use_expert_bias", true));
  TRY(require_true(config, "norm_topk_prob", true));
  constexpr uint32_t kSigmoid = 2;  // in GGUF files
  plan.key("expert_feed_forward_length", inner);
  plan.key("leading_dense_block_count", dense);
  plan.key("expert_gating_func", kSigmoid);
  plan.key("expert_weights_scale", scale);
  const ExpertNames experts = {.module = "feed_forward",
                               .parts = {"experts", "w1", "w3", "w2"},
                               .inner = inner,
                               .choice_bias = biased ? "expert_bias" : nullptr};
  return add_layers(config, decoder, dense, experts, plan);
}

const Family kFamily{{"Lfm2ForCausalLM", "LFM2ForCausalLM"}, "lfm2", describe};
const Family kWith_experts{{"Lfm2MoeForCausalLM"}, "lfm2moe", describe_with_experts};
const RegisterFamily registered(&kFamily);
const RegisterFamily registered_2(&kWith_experts);

}  // namespace
}  // namespace hearth::convert
