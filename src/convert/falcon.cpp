// Falcon (Almazrouei et al. 2023): attention and feed-forward side by side, behind one norm or (40B) one each. Rows of
// queries, keys and values stand together for each head of keys.
#include "convert/decoder.h"

namespace hearth::convert {
namespace {

struct Sizes {
  uint64_t layers = 0, width = 0, inner = 0, heads = 0, kv_heads = 1, vocabulary = 0;
  uint64_t head() const { return width / heads; }
};

// Keys of the first versions are those behind the comma.
Result<uint32_t> count_of(const Json& config, const char* key, const char* old, uint32_t most) {
  return config.count(config.has(key) ? key : old, 1, most);
}

Result<Sizes> read_sizes(const Json& config) {
  Sizes s;
  ASSIGN_OR_RETURN(s.layers, count_of(config, "num_hidden_layers", "n_layer", 4096));
  ASSIGN_OR_RETURN(s.width, config.count("hidden_size", 1, 1 << 20));
  ASSIGN_OR_RETURN(s.heads, count_of(config, "num_attention_heads", "n_head", 1 << 14));
  ASSIGN_OR_RETURN(s.vocabulary, config.count("vocab_size", 1, 1 << 24));
  ASSIGN_OR_RETURN(s.inner, config.count_or("ffn_hidden_size", static_cast<uint32_t>(4 * s.width), 1, 1 << 22));
  if (s.width % s.heads != 0) return config.invalid("num_attention_heads", "does not divide hidden_size");
  ASSIGN_OR_RETURN(const bool grouped, config.boolean_or("new_decoder_architecture", false));
  ASSIGN_OR_RETURN(const bool single, config.boolean_or("multi_query", true));
  const char* key = config.has("num_kv_heads") ? "num_kv_heads" : "n_head_kv";
  if (grouped || !single) {
    ASSIGN_OR_RETURN(s.kv_heads,
                     config.count_or(key, static_cast<uint32_t>(s.heads), 1, static_cast<uint32_t>(s.heads)));
  }
  if (s.heads % s.kv_heads != 0) return config.invalid(key, "does not divide the heads");
  return s;
}

Status add_keys(const Json& config, const Sizes& s, Plan& plan) {
  TRY(require_false(config, "alibi"));
  TRY(require_true(config, "parallel_attn", true));
  TRY(require_text(config, "activation", "gelu"));
  ASSIGN_OR_RETURN(const uint32_t context, config.count_or("max_position_embeddings", 2048, 1, 1 << 30));
  ASSIGN_OR_RETURN(const double epsilon, config.number_or("layer_norm_epsilon", 1e-5));
  ASSIGN_OR_RETURN(const double base, config.number_or("rope_theta", 10000));
  for (const auto& [key, value] : {std::pair("block_count", s.layers),
                                   {"embedding_length", s.width},
                                   {"feed_forward_length", s.inner},
                                   {"attention.head_count", s.heads},
                                   {"attention.head_count_kv", s.kv_heads},
                                   {"vocab_size", s.vocabulary}})
    plan.key(key, static_cast<uint32_t>(value));
  plan.key("context_length", context);
  plan.key("attention.layer_norm_epsilon", epsilon);
  plan.key("rope.freq_base", base);
  plan.key("tensor_data_layout", "jploski");  // queries, keys, values: as llama.cpp wants it
  plan.layers = static_cast<uint32_t>(s.layers);
  plan.heads = static_cast<uint32_t>(s.heads);
  plan.kv_heads = static_cast<uint32_t>(s.kv_heads);
  plan.vocabulary = static_cast<uint32_t>(s.vocabulary);
  return {};
}

// Row of the checkpoint's matrix that becomes row `row` of queries, then keys, then values.
uint64_t grouped_row(const Sizes& s, uint64_t row) {
  const uint64_t head = s.head(), queries = s.heads / s.kv_heads, group = (queries + 2) * head, q = s.heads * head;
  if (row < q) return row / (queries * head) * group + row % (queries * head);
  const uint64_t part = (row - q) / (s.kv_heads * head), within = (row - q) % (s.kv_heads * head);
  return within / head * group + (queries + part) * head + within % head;
}

Status add_layer(const Sizes& s, uint64_t index, Plan& plan) {
  const std::string block = fmt::format("blk.{}.", index), source = fmt::format("transformer.h.{}.", index);
  const bool two_norms = plan.has(source + "ln_attn.weight");
  TRY(add_norm(plan, block + "attn_norm", source + (two_norms ? "ln_mlp" : "input_layernorm"), s.width));
  if (two_norms) TRY(add_norm(plan, block + "attn_norm_2", source + "ln_attn", s.width));
  const uint64_t rows = (s.heads + 2 * s.kv_heads) * s.head(), width = s.width;
  const std::string attention = source + "self_attention.";
  TRY(plan.arranged(block + "attn_qkv.weight", {width, rows}, {{attention + "query_key_value.weight", {rows, width}}},
                    {.row = [=](uint64_t row) -> RowPlace {
                      return {0, grouped_row(s, row) * width, 1};
                    }}));
  if (plan.has(attention + "query_key_value.bias"))
    TRY(plan.arranged(block + "attn_qkv.bias", {rows}, {{attention + "query_key_value.bias", {rows}}},
                      {.column = [=](uint64_t row) { return grouped_row(s, row); }}));
  TRY(add_linear(plan, block + "attn_output", attention + "dense", width, width));
  TRY(add_linear(plan, block + "ffn_up", source + "mlp.dense_h_to_4h", s.inner, width));
  return add_linear(plan, block + "ffn_down", source + "mlp.dense_4h_to_h", width, s.inner);
}

Status describe(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const Sizes s, read_sizes(config));
  TRY(add_keys(config, s, plan));
  ASSIGN_OR_RETURN(const bool tied, config.boolean_or("tie_word_embeddings", true));
  TRY(plan.matrix("token_embd.weight", "transformer.word_embeddings.weight", s.vocabulary, s.width));
  TRY(add_norm(plan, "output_norm", "transformer.ln_f", s.width));
  if (!tied) TRY(plan.matrix("output.weight", "lm_head.weight", s.vocabulary, s.width));
  plan.leave_out("lm_head.weight");
  for (uint64_t i = 0; i < s.layers; ++i) TRY(add_layer(s, i, plan));
  return {};
}

const Family kFamily{{"FalconForCausalLM", "RWForCausalLM"}, "falcon", describe};
const RegisterFamily registered(&kFamily);

}  // namespace
}  // namespace hearth::convert
