// Granite 3 and 4 (IBM 2024): as Llama, with scales on embeddings, attention, results and logits; also with experts,
// and with Mamba-2 layers among those that attend.
#include "base/error.h"
#include "convert/decoder.h"
#include "convert/state_space.h"

namespace hearth::convert {
namespace {

constexpr DecoderDefaults kDefaults{.context = 2048, .vocabulary = 32000};
const LayerNames kNames = {.reordered = true};

Status add_scales(const Json& config, Plan& plan) {
  for (const auto& [theirs, ours] : {std::pair("embedding_multiplier", "embedding_scale"),
                                     {"residual_multiplier", "residual_scale"},
                                     {"attention_multiplier", "attention.scale"},
                                     {"logits_scaling", "logit_scale"}}) {
    ASSIGN_OR_RETURN(const double scale, config.number_or(theirs, 1));
    if (!(scale > 0 && scale <= 1e6)) return config.invalid(theirs, fmt::format("is {}", scale));
    plan.key(ours, scale);
  }
  return {};
}

Status describe(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(config, kDefaults, plan));
  TRY(add_scales(config, plan));
  TRY(add_rope_scaling(config, decoder, plan));
  return add_tensors(decoder, kNames, plan);
}

// The one that every token uses, which is the whole feed-forward where there are no experts.
Status add_shared(const Decoder& decoder, uint32_t shared, uint32_t index, Plan& plan) {
  if (shared == 0) return {};
  const std::string ours = fmt::format("blk.{}.ffn_", index), suffix = plan.experts != 0 ? "_shexp.weight" : ".weight";
  const std::string theirs = decoder.layer(index) + "shared_mlp.";
  TRY(add_halves(plan, ours + "gate" + suffix, ours + "up" + suffix, theirs + "input_linear.weight", 0, shared,
                 decoder.width));
  return plan.matrix(ours + "down" + suffix, theirs + "output_linear.weight", decoder.width, shared);
}

Status add_feed_forwards(const Decoder& decoder, uint32_t shared, uint32_t index, Plan& plan) {
  TRY(add_shared(decoder, shared, index, plan));
  if (plan.experts == 0) return {};
  const std::string ours = fmt::format("blk.{}.ffn_", index);
  const std::string theirs = decoder.layer(index) + "block_sparse_moe.";
  TRY(plan.matrix(ours + "gate_inp.weight", theirs + "router.layer.weight", plan.experts, decoder.width));
  TRY(add_halves(plan, ours + "gate_exps.weight", ours + "up_exps.weight", theirs + "input_linear.weight", plan.experts,
                 decoder.inner, decoder.width));
  return plan.arranged(ours + "down_exps.weight", {decoder.inner, decoder.width, plan.experts},
                       {{theirs + "output_linear.weight", {plan.experts, decoder.width, decoder.inner}}});
}

Status describe_with_experts(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(config, kDefaults, plan));
  TRY(add_scales(config, plan));
  TRY(read_experts(config, "num_local_experts", "num_experts_per_tok", plan));
  ASSIGN_OR_RETURN(const uint32_t shared, config.count_or("shared_intermediate_size", 0, 0, 1 << 20));
  if (shared != 0) plan.key("expert_shared_feed_forward_length", shared);
  TRY(add_rope_scaling(config, decoder, plan));
  TRY(add_ends(decoder, plan));
  for (uint32_t i = 0; i < decoder.layers; ++i) {
    TRY(add_norms(decoder, kNames, i, plan));
    TRY(add_attention(decoder, kNames, i, plan));
    TRY(add_feed_forwards(decoder, shared, i, plan));
  }
  return {};
}

Result<StateSpace> read_state_space(const Json& config, const Decoder& decoder) {
  StateSpace sizes;
  ASSIGN_OR_RETURN(sizes.heads, config.count_or("mamba_n_heads", 128, 1, 1 << 14));
  ASSIGN_OR_RETURN(sizes.groups, config.count_or("mamba_n_groups", 1, 1, sizes.heads));
  ASSIGN_OR_RETURN(sizes.state, config.count_or("mamba_d_state", 256, 1, 1 << 13));
  ASSIGN_OR_RETURN(sizes.taps, config.count_or("mamba_d_conv", 4, 1, 64));
  ASSIGN_OR_RETURN(const uint32_t expand, config.count_or("mamba_expand", 2, 1, 64));
  const uint32_t inner = expand * decoder.width;
  sizes.head = inner / sizes.heads;
  if (sizes.inner() != inner || sizes.heads % sizes.groups != 0)
    return config.invalid("mamba_n_heads", fmt::format("is {}, which does not fit an inner size of {} and {} groups",
                                                       sizes.heads, inner, sizes.groups));
  return sizes;
}

// Which layers attend; the others scan.
Result<std::vector<uint32_t>> read_kv_heads(const Json& config, const Decoder& decoder) {
  ASSIGN_OR_RETURN(const std::vector<std::string> types, read_layer_types(config, decoder.layers));
  if (types.empty()) return config.invalid("layer_types", "is missing");
  std::vector<uint32_t> kv_heads;
  for (const std::string& type : types) {
    // The second names are those of newer libraries.
    const bool attends = type == "attention" || type == "full_attention";
    if (!attends && type != "mamba" && type != "linear_attention")
      return error(ErrorKind::kUnsupported, "{}: layer_types has '{}'; supported are attention and mamba",
                   config.file(), type);
    kv_heads.push_back(attends ? decoder.kv_heads : 0);
  }
  return kv_heads;
}

Status describe_hybrid(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(Decoder decoder, read_decoder(config, kDefaults, plan));
  TRY(add_scales(config, plan));
  ASSIGN_OR_RETURN(const StateSpace sizes, read_state_space(config, decoder));
  ASSIGN_OR_RETURN(const std::vector<uint32_t> kv_heads, read_kv_heads(config, decoder));
  ASSIGN_OR_RETURN(const uint32_t experts, config.count_or("num_local_experts", 0, 0, 1 << 16));
  ASSIGN_OR_RETURN(const uint32_t shared, config.count_or("shared_intermediate_size", 1024, 0, 1 << 20));
  ASSIGN_OR_RETURN(const std::string positions, config.text_or("position_embedding_type", "nope"));
  if (experts != 0) {
    TRY(read_experts(config, "num_local_experts", "num_experts_per_tok", plan));
    plan.key("expert_shared_feed_forward_length", shared);
  } else {
    plan.key("feed_forward_length", shared);
  }
  plan.key("attention.head_count_kv", kv_heads);
  plan.key("rope.scaling.finetuned", positions == "rope");
  add_state_space_keys(sizes, plan);
  TRY(add_rope_scaling(config, decoder, plan));
  TRY(add_ends(decoder, plan));
  for (uint32_t i = 0; i < decoder.layers; ++i) {
    TRY(add_norms(decoder, kNames, i, plan));
    TRY(kv_heads[i] != 0
            ? add_attention(decoder, kNames, i, plan)
            : add_state_space(sizes, decoder.width, fmt::format("blk.{}.", i), decoder.layer(i) + "mamba.", plan));
    TRY(add_feed_forwards(decoder, shared, i, plan));
  }
  return {};
}

const Family kFamily{{"GraniteForCausalLM"}, "granite", describe};
const Family kWith_experts{
    {"GraniteMoeForCausalLM", "GraniteMoeSharedForCausalLM"}, "granitemoe", describe_with_experts};
const Family kHybrid{{"GraniteMoeHybridForCausalLM"}, "granitehybrid", describe_hybrid};
const RegisterFamily registered(&kFamily);
const RegisterFamily registered_2(&kWith_experts);
const RegisterFamily registered_3(&kHybrid);

}  // namespace
}  // namespace hearth::convert
