// Nemotron-H and Nemotron 3 (NVIDIA 2025): blocks that are a Mamba-2 layer, attention without a rope, or a feed-forward
// with squared ReLU; some have experts, which may read and write a narrower vector.
#include <algorithm>
#include <array>

#include "base/error.h"
#include "convert/decoder.h"
#include "convert/state_space.h"

namespace hearth::convert {
namespace {

enum class Kind { kScan, kAttention, kDense, kExperts };

Result<Kind> kind_of(const Json& config, std::string_view name) {
  for (const auto& [kind, names] : {std::pair(Kind::kScan, std::array{"M", "mamba", "linear_attention"}),
                                    {Kind::kAttention, std::array{"*", "attention", "full_attention"}},
                                    {Kind::kDense, std::array{"-", "mlp", "dense"}},
                                    {Kind::kExperts, std::array{"E", "moe", "sparse"}}})
    if (std::find(names.begin(), names.end(), name) != names.end()) return kind;
  return error(ErrorKind::kUnsupported, "{}: blocks of kind '{}' are not supported", config.file(), name);
}

// One letter for each block, or a list of words.
Result<std::vector<Kind>> read_kinds(const Json& config) {
  const char* key = config.has("hybrid_override_pattern") ? "hybrid_override_pattern" : "layers_block_type";
  const boost::json::value* value = config.find(key);
  if (value == nullptr) return config.invalid(key, "is missing");
  std::vector<Kind> kinds;
  const auto add = [&](std::string_view name) -> Status {
    ASSIGN_OR_RETURN(const Kind kind, kind_of(config, name));
    kinds.push_back(kind);
    return {};
  };
  if (value->is_string()) {
    for (const char& letter : value->get_string()) TRY(add({&letter, 1}));
  } else if (value->is_array()) {
    for (const boost::json::value& name : value->get_array())
      TRY(add(name.is_string() ? std::string_view(name.get_string()) : std::string_view()));
  }
  if (kinds.empty() || kinds.size() > 4096) return config.invalid(key, "does not name the kinds of the blocks");
  return kinds;
}

struct Sizes {
  uint32_t width = 0, inner = 0, heads = 0, kv_heads = 0, head = 0;
  uint32_t expert_inner = 0, shared_inner = 0, latent = 0;
  StateSpace scan;
  std::vector<Kind> kinds;
  bool with_experts = false;
};

Status read_experts_of(const Json& config, Sizes& s, Plan& plan) {
  TRY(read_experts(config, "n_routed_experts", "num_experts_per_tok", plan));
  ASSIGN_OR_RETURN(s.expert_inner, config.count("moe_intermediate_size", 1, 1 << 20));
  ASSIGN_OR_RETURN(s.shared_inner, config.count_or("moe_shared_expert_intermediate_size", 7688, 0, 1 << 20));
  ASSIGN_OR_RETURN(s.latent, config.count_or("moe_latent_size", 0, 0, 1 << 20));
  ASSIGN_OR_RETURN(const uint32_t shared, config.count_or("n_shared_experts", 1, 0, 1024));
  ASSIGN_OR_RETURN(const uint32_t groups, config.count_or("n_group", 1, 1, plan.experts));
  ASSIGN_OR_RETURN(const uint32_t groups_used, config.count_or("topk_group", 1, 1, groups));
  ASSIGN_OR_RETURN(const double scale, config.number_or("routed_scaling_factor", 1));
  ASSIGN_OR_RETURN(const bool normalised, config.boolean_or("norm_topk_prob", true));
  constexpr uint32_t kSigmoid = 2;  // in GGUF files
  plan.key("expert_feed_forward_length", s.expert_inner);
  plan.key("expert_shared_feed_forward_length", s.shared_inner);
  plan.key("expert_shared_count", shared);
  plan.key("expert_group_count", groups);
  plan.key("expert_group_used_count", groups_used);
  plan.key("expert_weights_scale", scale);
  plan.key("expert_weights_norm", normalised);
  plan.key("expert_gating_func", kSigmoid);
  if (s.latent != 0) plan.key("moe_latent_size", s.latent);
  return {};
}

Result<Sizes> read_sizes(const Json& config, Plan& plan) {
  Sizes s;
  ASSIGN_OR_RETURN(s.kinds, read_kinds(config));
  ASSIGN_OR_RETURN(s.width, config.count("hidden_size", 1, 1 << 20));
  ASSIGN_OR_RETURN(s.inner, config.count_or("intermediate_size", 21504, 1, 1 << 20));
  ASSIGN_OR_RETURN(s.heads, config.count_or("num_attention_heads", 32, 1, 1 << 14));
  ASSIGN_OR_RETURN(s.kv_heads, config.count_or("num_key_value_heads", 8, 1, s.heads));
  const char* head = config.has("head_dim") ? "head_dim" : "attention_head_dim";
  ASSIGN_OR_RETURN(s.head, config.count_or(head, 128, 1, 1 << 13));
  ASSIGN_OR_RETURN(s.scan.heads, config.count_or("mamba_num_heads", 128, 1, 1 << 14));
  ASSIGN_OR_RETURN(s.scan.head, config.count_or("mamba_head_dim", 64, 1, 1 << 13));
  ASSIGN_OR_RETURN(s.scan.groups, config.count_or("n_groups", 8, 1, s.scan.heads));
  ASSIGN_OR_RETURN(s.scan.state, config.count_or("ssm_state_size", 128, 1, 1 << 13));
  ASSIGN_OR_RETURN(s.scan.taps, config.count_or("conv_kernel", 4, 1, 64));
  if (s.scan.heads % s.scan.groups != 0) return config.invalid("n_groups", "does not divide mamba_num_heads");
  if (s.heads % s.kv_heads != 0) return config.invalid("num_key_value_heads", "does not divide num_attention_heads");
  s.with_experts = std::find(s.kinds.begin(), s.kinds.end(), Kind::kExperts) != s.kinds.end();
  if (s.with_experts) TRY(read_experts_of(config, s, plan));
  if (s.with_experts && std::find(s.kinds.begin(), s.kinds.end(), Kind::kDense) != s.kinds.end())
    return error(ErrorKind::kUnsupported, "{}: blocks with and without experts in one model are not supported",
                 config.file());
  return s;
}

void add_keys(const Sizes& s, uint32_t context, double epsilon, Plan& plan) {
  std::vector<uint32_t> kv_heads, inner;
  for (const Kind kind : s.kinds) {
    kv_heads.push_back(kind == Kind::kAttention ? s.kv_heads : 0);
    inner.push_back(kind == Kind::kDense ? s.inner : kind == Kind::kExperts ? s.expert_inner : 0);
  }
  plan.layers = static_cast<uint32_t>(s.kinds.size());
  plan.heads = s.heads;
  plan.kv_heads = s.kv_heads;
  plan.key("context_length", context);
  plan.key("embedding_length", s.width);
  plan.key("block_count", plan.layers);
  plan.key("vocab_size", plan.vocabulary);
  plan.key("feed_forward_length", inner);
  plan.key("attention.head_count", s.heads);
  plan.key("attention.head_count_kv", kv_heads);
  plan.key("attention.key_length", s.head);
  plan.key("attention.value_length", s.head);
  plan.key("attention.layer_norm_rms_epsilon", epsilon);
  add_state_space_keys(s.scan, plan);
}

Status add_expert_stacks(const Sizes& s, const std::string& ours, const std::string& theirs, Plan& plan) {
  const uint64_t width = s.latent != 0 ? s.latent : s.width, inner = s.expert_inner, count = plan.experts;
  for (const auto& [part, rows, columns] : {std::tuple("up", inner, width), {"down", width, inner}}) {
    const std::string name = fmt::format("{}{}_exps.weight", ours, part);
    const std::string stacked = fmt::format("{}experts.{}_proj", theirs, part);
    if (plan.has(stacked)) {
      TRY(plan.arranged(name, {columns, rows, count}, {{stacked, {count, rows, columns}}}));
      continue;
    }
    std::vector<std::string> sources;
    for (uint32_t e = 0; e < plan.experts; ++e)
      sources.push_back(fmt::format("{}experts.{}.{}_proj.weight", theirs, e, part));
    TRY(plan.stack(name, sources, rows, columns));
  }
  return {};
}

Status add_experts_block(const Sizes& s, const std::string& block, const std::string& theirs, Plan& plan) {
  const std::string ours = block + "ffn_";
  TRY(plan.matrix(ours + "gate_inp.weight", theirs + "gate.weight", plan.experts, s.width));
  TRY(plan.vector(block + "exp_probs_b.bias", theirs + "gate.e_score_correction_bias", plan.experts));
  if (s.latent != 0) {
    TRY(add_linear(plan, ours + "latent_down", theirs + "fc1_latent_proj", s.latent, s.width));
    TRY(add_linear(plan, ours + "latent_up", theirs + "fc2_latent_proj", s.width, s.latent));
  }
  TRY(add_expert_stacks(s, ours, theirs, plan));
  if (s.shared_inner == 0) return {};
  TRY(add_linear(plan, ours + "up_shexp", theirs + "shared_experts.up_proj", s.shared_inner, s.width));
  return add_linear(plan, ours + "down_shexp", theirs + "shared_experts.down_proj", s.width, s.shared_inner);
}

Status add_attention_block(const Sizes& s, const std::string& block, const std::string& theirs, Plan& plan) {
  const uint64_t q = uint64_t{s.heads} * s.head, kv = uint64_t{s.kv_heads} * s.head;
  TRY(add_linear(plan, block + "attn_q", theirs + "q_proj", q, s.width));
  TRY(add_linear(plan, block + "attn_k", theirs + "k_proj", kv, s.width));
  TRY(add_linear(plan, block + "attn_v", theirs + "v_proj", kv, s.width));
  return add_linear(plan, block + "attn_output", theirs + "o_proj", s.width, q);
}

Status add_block(const Sizes& s, uint32_t index, const std::string& prefix, Plan& plan) {
  const std::string block = fmt::format("blk.{}.", index), source = fmt::format("{}layers.{}.", prefix, index);
  const std::string mixer = source + "mixer.";
  TRY(add_norm(plan, block + "attn_norm", source + "norm", s.width));
  switch (s.kinds[index]) {
    case Kind::kScan:
      return add_state_space(s.scan, s.width, block, mixer, plan);
    case Kind::kAttention:
      return add_attention_block(s, block, mixer, plan);
    case Kind::kExperts:
      return add_experts_block(s, block, mixer, plan);
    case Kind::kDense:
      TRY(add_linear(plan, block + "ffn_up", mixer + "up_proj", s.inner, s.width));
      return add_linear(plan, block + "ffn_down", mixer + "down_proj", s.width, s.inner);
  }
  return {};
}

Status describe(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const Sizes s, read_sizes(config, plan));
  ASSIGN_OR_RETURN(plan.vocabulary, config.count("vocab_size", 1, 1 << 24));
  ASSIGN_OR_RETURN(const uint32_t context, config.count_or("max_position_embeddings", 4096, 1, 1 << 30));
  const char* epsilon_key = config.has("layer_norm_epsilon") ? "layer_norm_epsilon" : "rms_norm_eps";
  ASSIGN_OR_RETURN(const double epsilon, config.number_or(epsilon_key, 1e-5));
  ASSIGN_OR_RETURN(const bool tied, config.boolean_or("tie_word_embeddings", false));
  TRY(require_text(config, "mlp_hidden_act", "relu2"));
  TRY(require_text(config, "mamba_hidden_act", "silu"));
  add_keys(s, context, epsilon, plan);
  plan.leave_out_all("mtp.");
  const std::string prefix = plan.has("backbone.embeddings.weight") ? "backbone." : "model.";
  TRY(plan.matrix("token_embd.weight", prefix + "embeddings.weight", plan.vocabulary, s.width));
  TRY(add_norm(plan, "output_norm", prefix + "norm_f", s.width));
  if (!tied) TRY(plan.matrix("output.weight", "lm_head.weight", plan.vocabulary, s.width));
  plan.leave_out("lm_head.weight");
  for (uint32_t i = 0; i < plan.layers; ++i) TRY(add_block(s, i, prefix, plan));
  return {};
}

bool has_experts(const Json& config) {
  const auto kinds = read_kinds(config);
  return kinds.ok() && std::find(kinds->begin(), kinds->end(), Kind::kExperts) != kinds->end();
}
bool has_no_experts(const Json& config) {
  return !has_experts(config);
}

const Family kDense{{"NemotronHForCausalLM"}, "nemotron_h", describe, has_no_experts};
const Family kWith_experts{{"NemotronHForCausalLM"}, "nemotron_h_moe", describe, has_experts};
const RegisterFamily registered(&kDense);
const RegisterFamily registered_2(&kWith_experts);

}  // namespace
}  // namespace hearth::convert
