// Gemma 4 (Google 2026): heads of other sizes in layers with a window, values that are keys, a dense part beside
// experts; in the small ones inputs of every layer's own and layers that read the caches of two before them. Of the
// models that see and hear, the part for text.
#include "base/error.h"
#include "convert/gemma.h"

namespace hearth::convert {
namespace {

struct Sizes {
  uint32_t global_head = 0, global_kv_heads = 0, shared = 0, inputs = 0, table_rows = 0, expert_inner = 0;
  bool values_are_keys = false, double_width = false;
  std::vector<bool> windows;
};

Result<Sizes> read_sizes(const Json& config, const Decoder& decoder, Plan& plan) {
  Sizes s;
  ASSIGN_OR_RETURN(s.global_head, config.count_or("global_head_dim", 512, 2, 1 << 13));
  ASSIGN_OR_RETURN(s.values_are_keys, config.boolean_or("attention_k_eq_v", false));
  ASSIGN_OR_RETURN(s.global_kv_heads,
                   config.count_or("num_global_key_value_heads", decoder.kv_heads, 1, decoder.heads));
  if (!s.values_are_keys) s.global_kv_heads = decoder.kv_heads;
  if (decoder.heads % s.global_kv_heads != 0)
    return config.invalid("num_global_key_value_heads", "does not divide num_attention_heads");
  ASSIGN_OR_RETURN(s.shared, config.count_or("num_kv_shared_layers", 0, 0, decoder.layers - 1));
  ASSIGN_OR_RETURN(s.double_width, config.boolean_or("use_double_wide_mlp", false));
  const bool none = config.object().contains("hidden_size_per_layer_input");  // null says so
  ASSIGN_OR_RETURN(s.inputs, config.count_or("hidden_size_per_layer_input", none ? 0 : 256, 0, 1 << 13));
  ASSIGN_OR_RETURN(s.table_rows, config.count_or("vocab_size_per_layer_input", decoder.vocabulary, 1, 1 << 24));
  ASSIGN_OR_RETURN(s.windows, add_window_flags(config, decoder.layers, 6, plan));
  ASSIGN_OR_RETURN(const bool experts, config.boolean_or("enable_moe_block", false));
  if (!experts) return s;
  TRY(read_experts(config, "num_experts", "top_k_experts", plan));
  ASSIGN_OR_RETURN(s.expert_inner, config.count("moe_intermediate_size", 1, 1 << 20));
  plan.key("expert_feed_forward_length", s.expert_inner);
  return s;
}

uint32_t inner_of(const Sizes& s, const Decoder& decoder, uint32_t layer) {
  return s.double_width && layer + s.shared >= decoder.layers ? 2 * decoder.inner : decoder.inner;
}

Status add_keys(const Json& config, const Sizes& s, const Decoder& decoder, Plan& plan) {
  ASSIGN_OR_RETURN(const GemmaRopes ropes, read_gemma_ropes(config));
  ASSIGN_OR_RETURN(const uint32_t window, config.count_or("sliding_window", 512, 1, 1u << 30));
  ASSIGN_OR_RETURN(const double cap, config.number_or("final_logit_softcapping", 0));
  std::vector<uint32_t> inner, kv_heads;
  for (uint32_t i = 0; i < decoder.layers; ++i) {
    inner.push_back(inner_of(s, decoder, i));
    kv_heads.push_back(s.windows[i] ? decoder.kv_heads : s.global_kv_heads);
  }
  plan.key("feed_forward_length", inner);
  plan.key("attention.head_count_kv", kv_heads);
  plan.key("attention.key_length", s.global_head);
  plan.key("attention.value_length", s.global_head);
  plan.key("attention.key_length_swa", decoder.head);
  plan.key("attention.value_length_swa", decoder.head);
  plan.key("attention.shared_kv_layers", s.shared);
  plan.key("attention.sliding_window", window);
  plan.key("embedding_length_per_layer_input", s.inputs);
  plan.key("rope.dimension_count", s.global_head);
  plan.key("rope.dimension_count_swa", decoder.head);
  plan.key("rope.freq_base", ropes.global);
  plan.key("rope.freq_base_swa", ropes.local);
  if (cap != 0) plan.key("final_logit_softcapping", cap);
  // Pairs beyond the part that rotates turn by nothing.
  constexpr float kNever = 1e30f;
  std::vector<float> divisors(s.global_head / 2, kNever);
  const auto rotating = static_cast<ptrdiff_t>(s.global_head * ropes.global_part / 2);
  std::fill(divisors.begin(), divisors.begin() + rotating, 1.0f);
  plan.computed("rope_freqs.weight", std::move(divisors));
  return {};
}

Status add_expert_layer(const Sizes& s, const Decoder& decoder, uint32_t index, Plan& plan) {
  const std::string block = fmt::format("blk.{}.", index), source = decoder.layer(index);
  const uint64_t width = decoder.width, inner = s.expert_inner, count = plan.experts;
  for (const auto& [ours, theirs] : {std::pair("post_ffw_norm_1", "post_feedforward_layernorm_1"),
                                     {"pre_ffw_norm_2", "pre_feedforward_layernorm_2"},
                                     {"post_ffw_norm_2", "post_feedforward_layernorm_2"}})
    TRY(add_norm(plan, block + ours, source + theirs, width));
  TRY(plan.matrix(block + "ffn_gate_inp.weight", source + "router.proj.weight", count, width));
  TRY(plan.vector(block + "ffn_gate_inp.scale", source + "router.scale", width));
  TRY(plan.vector(block + "ffn_down_exps.scale", source + "router.per_expert_scale", count));
  TRY(plan.arranged(block + "ffn_gate_up_exps.weight", {width, 2 * inner, count},
                    {{source + "experts.gate_up_proj", {count, 2 * inner, width}}}));
  return plan.arranged(block + "ffn_down_exps.weight", {inner, width, count},
                       {{source + "experts.down_proj", {count, width, inner}}});
}

Status add_layer_of(const Sizes& s, const Decoder& decoder, uint32_t index, Plan& plan) {
  LayerNames names = {.q_norm = "q_norm", .k_norm = "k_norm", .norms = kNorms_around};
  Decoder of_kind = decoder;
  if (!s.windows[index]) of_kind.head = s.global_head, of_kind.kv_heads = s.global_kv_heads;
  names.keys = index + s.shared < decoder.layers;
  names.values = names.keys && (s.windows[index] || !s.values_are_keys);
  const std::string source = decoder.layer(index);
  if (!names.keys)  // of layers that read another's
    for (const char* unused : {"k_proj.weight", "v_proj.weight", "k_norm.weight"})
      plan.leave_out(source + "self_attn." + unused);
  TRY(add_norms(decoder, names, index, plan));
  TRY(add_attention(of_kind, names, index, plan));
  TRY(add_feed_forward(decoder, FeedForwardNames{}, index, inner_of(s, decoder, index), "", plan));
  TRY(plan.vector(fmt::format("blk.{}.layer_output_scale.weight", index), source + "layer_scalar", 1));
  if (s.inputs != 0) TRY(add_layer_input(decoder, s.inputs, index, plan));
  return plan.experts != 0 ? add_expert_layer(s, decoder, index, plan) : Status();
}

Status describe(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const Json text, text_part(config, plan));
  const DecoderDefaults defaults{.heads = 8,
                                 .kv_heads = 4,
                                 .head = 256,
                                 .width = 2304,
                                 .inner = 9216,
                                 .layers = 30,
                                 .context = 131072,
                                 .vocabulary = 262144,
                                 .rope_base = 1e6,
                                 .tied = true,
                                 .activation = "gelu_pytorch_tanh"};
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(text, defaults, plan));
  ASSIGN_OR_RETURN(const std::string ahead, text.text_or("use_bidirectional_attention", "vision"));
  if (ahead != "vision")
    return error(ErrorKind::kUnsupported, "{}: use_bidirectional_attention '{}' is not supported", text.file(), ahead);
  ASSIGN_OR_RETURN(const Sizes sizes, read_sizes(text, decoder, plan));
  TRY(add_keys(text, sizes, decoder, plan));
  TRY(add_ends(decoder, plan));
  if (sizes.inputs != 0) TRY(add_layer_table(decoder, sizes.inputs, sizes.table_rows, plan));
  for (uint32_t i = 0; i < decoder.layers; ++i) TRY(add_layer_of(sizes, decoder, i, plan));
  return {};
}

const Family kFamily{{"Gemma4ForCausalLM", "Gemma4ForConditionalGeneration"}, "gemma4", describe};
const RegisterFamily registered(&kFamily);

}  // namespace
}  // namespace hearth::convert
