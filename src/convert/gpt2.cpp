// GPT-2 and DialoGPT (Radford et al. 2019): its matrices are stored as columns x rows.
#include "base/error.h"
#include "convert/decoder.h"

namespace hearth::convert {
namespace {

constexpr TargetOptions kTurned = {.transposed = true};

struct Sizes {
  uint32_t layers = 0, width = 0, inner = 0, heads = 0, vocabulary = 0, context = 0;
};

Result<Sizes> read_sizes(const Json& config, Plan& plan) {
  Sizes s;
  ASSIGN_OR_RETURN(s.layers, config.count_or("n_layer", 12, 1, 4096));
  ASSIGN_OR_RETURN(s.width, config.count_or("n_embd", 768, 1, 1 << 20));
  ASSIGN_OR_RETURN(s.inner, config.count_or("n_inner", 4 * s.width, 1, 1 << 22));
  ASSIGN_OR_RETURN(s.heads, config.count_or("n_head", 12, 1, 1 << 14));
  ASSIGN_OR_RETURN(s.vocabulary, config.count_or("vocab_size", 50257, 1, 1 << 24));
  ASSIGN_OR_RETURN(s.context, config.count_or("n_positions", 1024, 1, 1 << 30));
  if (s.width % s.heads != 0) return config.invalid("n_head", "does not divide n_embd");
  ASSIGN_OR_RETURN(const double epsilon, config.number_or("layer_norm_epsilon", 1e-5));
  TRY(require_text(config, "activation_function", "gelu_new"));
  TRY(require_false(config, "scale_attn_by_inverse_layer_idx"));
  ASSIGN_OR_RETURN(const bool scaled, config.boolean_or("scale_attn_weights", true));
  if (!scaled)
    return error(ErrorKind::kUnsupported, "{}: scale_attn_weights is false, which is not supported", config.file());
  plan.key("context_length", s.context);
  plan.key("embedding_length", s.width);
  plan.key("block_count", s.layers);
  plan.key("feed_forward_length", s.inner);
  plan.key("attention.head_count", s.heads);
  plan.key("attention.head_count_kv", s.heads);
  plan.key("vocab_size", s.vocabulary);
  plan.key("attention.layer_norm_epsilon", epsilon);
  plan.layers = s.layers;
  plan.heads = plan.kv_heads = s.heads;
  plan.vocabulary = s.vocabulary;
  return s;
}

Status add_layer(Plan& plan, const Sizes& s, const std::string& block, const std::string& source) {
  TRY(add_norm(plan, block + "attn_norm", source + "ln_1", s.width));
  TRY(add_linear(plan, block + "attn_qkv", source + "attn.c_attn", 3 * uint64_t{s.width}, s.width, kTurned));
  TRY(add_linear(plan, block + "attn_output", source + "attn.c_proj", s.width, s.width, kTurned));
  TRY(add_norm(plan, block + "ffn_norm", source + "ln_2", s.width));
  TRY(add_linear(plan, block + "ffn_up", source + "mlp.c_fc", s.inner, s.width, kTurned));
  TRY(add_linear(plan, block + "ffn_down", source + "mlp.c_proj", s.width, s.inner, kTurned));
  for (const char* mask : {"attn.bias", "attn.masked_bias"}) plan.leave_out(source + mask);
  return {};
}

Status describe(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const Sizes s, read_sizes(config, plan));
  const std::string prefix = plan.has("transformer.wte.weight") ? "transformer." : "";
  TRY(plan.matrix("token_embd.weight", prefix + "wte.weight", s.vocabulary, s.width));
  TRY(plan.matrix("position_embd.weight", prefix + "wpe.weight", s.context, s.width));
  for (uint32_t i = 0; i < s.layers; ++i)
    TRY(add_layer(plan, s, fmt::format("blk.{}.", i), fmt::format("{}h.{}.", prefix, i)));
  TRY(add_norm(plan, "output_norm", prefix + "ln_f", s.width));
  ASSIGN_OR_RETURN(const bool tied, config.boolean_or("tie_word_embeddings", true));
  if (!tied) TRY(plan.matrix("output.weight", "lm_head.weight", s.vocabulary, s.width));
  plan.leave_out("lm_head.weight");
  return {};
}

const Family kGpt2{{"GPT2LMHeadModel"}, "gpt2", describe};
const RegisterFamily registered(&kGpt2);

}  // namespace
}  // namespace hearth::convert
