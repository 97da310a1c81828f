// Qwen 3 Next and Qwen 3.5 (Qwen Team 2025): three gated delta nets, then attention with a gate on its result; dense or
// with experts. Norms are stored less one, but for those within the delta nets.
#include "base/error.h"
#include "convert/qwen.h"

namespace hearth::convert {
namespace {

const LayerNames kNames = {
    .q_norm = "q_norm", .k_norm = "k_norm", .queries = 2, .norms = kNorms_between, .add_to_norms = 1};

// Of the delta nets. Value heads of one key head stand together in checkpoints.
struct Nets {
  uint64_t keys = 0, values = 0, key_dim = 0, value_dim = 0, taps = 0, interval = 4;

  uint64_t key_rows() const { return keys * key_dim; }
  uint64_t value_rows() const { return values * value_dim; }
  uint64_t shared() const { return values / keys; }  // value heads of a key head
  uint64_t channels() const { return 2 * key_rows() + value_rows(); }
  // Files of Qwen 3.5 deal them out: the first of each key head, then the second of each.
  uint64_t dealt_head(uint64_t head) const { return head % keys * shared() + head / keys; }
  uint64_t dealt_row(uint64_t row) const { return dealt_head(row / value_dim) * value_dim + row % value_dim; }
};

Status read_interval(const Json& config, uint32_t layers, Nets& nets) {
  ASSIGN_OR_RETURN(const uint32_t interval, config.count_or("full_attention_interval", 4, 1, layers));
  nets.interval = interval;
  ASSIGN_OR_RETURN(const std::vector<std::string> types, read_layer_types(config, layers));
  for (uint32_t i = 0; i < types.size(); ++i)
    if (types[i] != ((i + 1) % interval == 0 ? "full_attention" : "linear_attention"))
      return error(ErrorKind::kUnsupported, "{}: layer_types does not attend in every {}th layer", config.file(),
                   interval);
  return {};
}

Result<Nets> read_nets(const Json& config, uint32_t layers, uint32_t values, Plan& plan) {
  Nets nets;
  ASSIGN_OR_RETURN(nets.keys, config.count_or("linear_num_key_heads", 16, 1, 1 << 14));
  ASSIGN_OR_RETURN(nets.values, config.count_or("linear_num_value_heads", values, 1, 1 << 14));
  ASSIGN_OR_RETURN(nets.key_dim, config.count_or("linear_key_head_dim", 128, 1, 1 << 13));
  ASSIGN_OR_RETURN(nets.value_dim, config.count_or("linear_value_head_dim", 128, 1, 1 << 13));
  ASSIGN_OR_RETURN(nets.taps, config.count_or("linear_conv_kernel_dim", 4, 1, 64));
  if (nets.values % nets.keys != 0)
    return config.invalid("linear_num_key_heads", "does not divide linear_num_value_heads");
  TRY(read_interval(config, layers, nets));
  for (const auto& [key, value] : {std::pair("ssm.conv_kernel", nets.taps),
                                   {"ssm.state_size", nets.key_dim},
                                   {"ssm.group_count", nets.keys},
                                   {"ssm.time_step_rank", nets.values},
                                   {"ssm.inner_size", nets.value_rows()},
                                   {"full_attention_interval", nets.interval}})
    plan.key(key, static_cast<uint32_t>(value));
  return nets;
}

// Rows of each key head: queries, keys, values, gates.
Status add_grouped_projections(const Nets& n, uint64_t width, const std::string& block, const std::string& source,
                               Plan& plan) {
  const uint64_t values = n.shared() * n.value_dim, group = 2 * n.key_dim + 2 * values;
  const Needed all{source + "in_proj_qkvz.weight", {n.keys * group, width}};
  const auto at = [=](uint64_t part, uint64_t each, uint64_t row) -> RowPlace {
    return {0, (row / each * group + part + row % each) * width, 1};
  };
  TRY(plan.arranged(block + "attn_qkv.weight", {width, n.channels()}, {all}, {.row = [=](uint64_t row) {
                      if (row < n.key_rows()) return at(0, n.key_dim, row);
                      if (row < 2 * n.key_rows()) return at(n.key_dim, n.key_dim, row - n.key_rows());
                      return at(2 * n.key_dim, values, row - 2 * n.key_rows());
                    }}));
  TRY(plan.arranged(block + "attn_gate.weight", {width, n.value_rows()}, {all},
                    {.row = [=](uint64_t row) { return at(2 * n.key_dim + values, values, row); }}));
  return plan.matrix(block + "ssm_ba.weight", source + "in_proj_ba.weight", 2 * n.values, width);
}

Status add_grouped(const Nets& n, uint64_t width, const std::string& block, const std::string& source, Plan& plan) {
  TRY(add_grouped_projections(n, width, block, source, plan));
  TRY(plan.arranged(block + "ssm_conv1d.weight", {n.taps, n.channels()},
                    {{source + "conv1d.weight", {n.channels(), 1, n.taps}}}));
  TRY(plan.vector(block + "ssm_dt.bias", source + "dt_bias", n.values));
  TRY(plan.vector(block + "ssm_a", source + "A_log", n.values, {.negative_exp = true}));
  TRY(add_norm(plan, block + "ssm_norm", source + "norm", n.value_dim));
  return add_linear(plan, block + "ssm_out", source + "out_proj", width, n.value_rows());
}

Status add_dealt(const Nets& n, uint64_t width, const std::string& block, const std::string& source, Plan& plan) {
  const uint64_t keys = 2 * n.key_rows();
  const auto channel = [=](uint64_t row) { return row < keys ? row : keys + n.dealt_row(row - keys); };
  const auto rows_of = [](auto from, uint64_t columns) {
    return Arrangement{.row = [=](uint64_t row) -> RowPlace { return {0, from(row) * columns, 1}; }};
  };
  const auto head = [=](uint64_t one) { return n.dealt_head(one); };
  const auto row = [=](uint64_t one) { return n.dealt_row(one); };
  TRY(plan.arranged(block + "attn_qkv.weight", {width, n.channels()},
                    {{source + "in_proj_qkv.weight", {n.channels(), width}}}, rows_of(channel, width)));
  TRY(plan.arranged(block + "attn_gate.weight", {width, n.value_rows()},
                    {{source + "in_proj_z.weight", {n.value_rows(), width}}}, rows_of(row, width)));
  TRY(plan.arranged(block + "ssm_beta.weight", {width, n.values}, {{source + "in_proj_b.weight", {n.values, width}}},
                    rows_of(head, width)));
  TRY(plan.arranged(block + "ssm_alpha.weight", {width, n.values}, {{source + "in_proj_a.weight", {n.values, width}}},
                    rows_of(head, width)));
  TRY(plan.arranged(block + "ssm_conv1d.weight", {n.taps, n.channels()},
                    {{source + "conv1d.weight", {n.channels(), 1, n.taps}}}, rows_of(channel, n.taps)));
  TRY(plan.arranged(block + "ssm_dt.bias", {n.values}, {{source + "dt_bias", {n.values}}}, {.column = head}));
  TRY(plan.arranged(block + "ssm_a", {n.values}, {{source + "A_log", {n.values}}}, {.column = head},
                    {.negative_exp = true}));
  TRY(add_norm(plan, block + "ssm_norm", source + "norm", n.value_dim));
  return plan.arranged(block + "ssm_out.weight", {n.value_rows(), width},
                       {{source + "out_proj.weight", {width, n.value_rows()}}}, {.column = row});
}

// `share`: of models with experts.
Status add_layers(const Decoder& decoder, const Nets& nets, bool dealt, const GatedShare* share, Plan& plan) {
  TRY(add_ends(decoder, plan, kNames.add_to_norms));
  for (uint32_t i = 0; i < decoder.layers; ++i) {
    const std::string block = fmt::format("blk.{}.", i), source = decoder.layer(i) + "linear_attn.";
    TRY(add_norms(decoder, kNames, i, plan));
    if ((i + 1) % nets.interval == 0) {
      TRY(add_attention(decoder, kNames, i, plan));
    } else {
      TRY(dealt ? add_dealt(nets, decoder.width, block, source, plan)
                : add_grouped(nets, decoder.width, block, source, plan));
    }
    TRY(share != nullptr ? add_experts_and_share(decoder, *share, i, plan)
                         : add_feed_forward(decoder, kNames, i, plan));
  }
  return {};
}

Result<Decoder> read(const Json& config, bool tied, Plan& plan) {
  const DecoderDefaults defaults{.head = 256, .inner = 1, .context = 32768, .rotated = 0.25, .tied = tied};
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(config, defaults, plan));
  TRY(add_rope_scaling(config, decoder, plan));
  size_t predictors = plan.leave_out_all("mtp.") + plan.leave_out_all("model.mtp.");
  if (predictors != 0)
    plan.notes.push_back(
        fmt::format("the layers that predict more than one token ahead ({} tensors) are left out", predictors));
  return decoder;
}

Status describe(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const Decoder decoder, read(config, false, plan));
  ASSIGN_OR_RETURN(const Nets nets, read_nets(config, decoder.layers, 32, plan));
  TRY(read_experts(config, "num_experts", "num_experts_per_tok", plan));
  TRY(require_experts_everywhere(config));
  TRY(require_true(config, "norm_topk_prob", true));
  ASSIGN_OR_RETURN(const GatedShare share, read_gated_share(config, 512, 512, plan));
  return add_layers(decoder, nets, false, &share, plan);
}

Status describe_35(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const bool tied, config.boolean_or("tie_word_embeddings", false));
  ASSIGN_OR_RETURN(const Json text, text_part(config, plan));
  ASSIGN_OR_RETURN(const Decoder decoder, read(text, tied, plan));
  ASSIGN_OR_RETURN(const Nets nets, read_nets(text, decoder.layers, 32, plan));
  TRY(add_rope_sections(text, plan));
  if (plan.architecture() == "qwen35") return add_layers(decoder, nets, true, nullptr, plan);
  TRY(read_experts(text, "num_experts", "num_experts_per_tok", plan));
  ASSIGN_OR_RETURN(const GatedShare share, read_gated_share(text, 512, 512, plan));
  return add_layers(decoder, nets, true, &share, plan);
}

const Family kNext{{"Qwen3NextForCausalLM"}, "qwen3next", describe};
const Family k35{{"Qwen3_5ForCausalLM", "Qwen3_5ForConditionalGeneration"}, "qwen35", describe_35};
const Family k35_with_experts{
    {"Qwen3_5MoeForCausalLM", "Qwen3_5MoeForConditionalGeneration"}, "qwen35moe", describe_35};
const RegisterFamily registered(&kNext);
const RegisterFamily registered_2(&k35);
const RegisterFamily registered_3(&k35_with_experts);

}  // namespace
}  // namespace hearth::convert
