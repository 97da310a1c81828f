// Mamba-2 (Dao and Gu 2024): state-space layers and nothing else.
#include "convert/decoder.h"
#include "convert/state_space.h"

namespace hearth::convert {
namespace {

Result<StateSpace> read_sizes(const Json& config, uint32_t width) {
  StateSpace sizes;
  ASSIGN_OR_RETURN(sizes.heads, config.count_or("num_heads", 128, 1, 1 << 14));
  ASSIGN_OR_RETURN(sizes.head, config.count_or("head_dim", 64, 1, 1 << 13));
  ASSIGN_OR_RETURN(sizes.groups, config.count_or("n_groups", 8, 1, sizes.heads));
  ASSIGN_OR_RETURN(sizes.state, config.count_or("state_size", 128, 1, 1 << 13));
  ASSIGN_OR_RETURN(sizes.taps, config.count_or("conv_kernel", 4, 1, 64));
  ASSIGN_OR_RETURN(const uint32_t expand, config.count_or("expand", 2, 1, 64));
  if (sizes.inner() != uint64_t{expand} * width)
    return config.invalid("num_heads", fmt::format("times head_dim is not {} times hidden_size", expand));
  if (sizes.heads % sizes.groups != 0) return config.invalid("n_groups", "does not divide num_heads");
  return sizes;
}

Status describe(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(plan.layers, config.count_or("num_hidden_layers", 64, 1, 4096));
  ASSIGN_OR_RETURN(const uint32_t width, config.count_or("hidden_size", 4096, 1, 1 << 20));
  ASSIGN_OR_RETURN(plan.vocabulary, config.count_or("vocab_size", 32768, 1, 1 << 24));
  ASSIGN_OR_RETURN(const double epsilon, config.number_or("layer_norm_epsilon", 1e-5));
  ASSIGN_OR_RETURN(const bool tied, config.boolean_or("tie_word_embeddings", false));
  ASSIGN_OR_RETURN(const StateSpace sizes, read_sizes(config, width));
  TRY(require_text(config, "hidden_act", "silu"));
  constexpr uint32_t kContext = 1 << 20;  // it has no limit of its own
  plan.key("context_length", kContext);
  plan.key("embedding_length", width);
  plan.key("block_count", plan.layers);
  for (const char* none : {"feed_forward_length", "attention.head_count", "attention.head_count_kv"})
    plan.key(none, uint32_t{0});
  plan.key("vocab_size", plan.vocabulary);
  plan.key("attention.layer_norm_rms_epsilon", epsilon);
  add_state_space_keys(sizes, plan);
  TRY(plan.matrix("token_embd.weight", "backbone.embeddings.weight", plan.vocabulary, width));
  TRY(add_norm(plan, "output_norm", "backbone.norm_f", width));
  if (!tied) TRY(plan.matrix("output.weight", "lm_head.weight", plan.vocabulary, width));
  plan.leave_out("lm_head.weight");
  for (uint32_t i = 0; i < plan.layers; ++i) {
    const std::string block = fmt::format("blk.{}.", i), source = fmt::format("backbone.layers.{}.", i);
    TRY(add_norm(plan, block + "attn_norm", source + "norm", width));
    TRY(add_state_space(sizes, width, block, source + "mixer.", plan));
  }
  return {};
}

const Family kFamily{{"Mamba2ForCausalLM"}, "mamba2", describe};
const RegisterFamily registered(&kFamily);

}  // namespace
}  // namespace hearth::convert
