// gpt-oss (OpenAI 2025): sinks, windows in every other layer, experts with biases, whose matrices are blocks of MXFP4
// or, in other formats, stored as columns x rows. Rows of gate and up take turns.
#include "base/error.h"
#include "convert/decoder.h"

namespace hearth::convert {
namespace {

struct Stack {
  uint64_t rows, columns;
  uint64_t first = 0, step = 1;  // which rows of the tensor
};

Status add_stack(Plan& plan, const std::string& name, const std::string& source, const Stack& s) {
  const uint64_t count = plan.experts, all = s.rows * s.step, columns = s.columns;
  if (plan.has(source + "_blocks"))
    return plan.arranged_mxfp4(name, {columns, s.rows, count}, {source, {count, all, columns}},
                               {.row = [=](uint64_t row) -> RowPlace {
                                 const uint64_t from = row / s.rows * all + s.first + row % s.rows * s.step;
                                 return {0, from * columns, 1};
                               }});
  return plan.arranged(name, {columns, s.rows, count}, {{source, {count, columns, all}}},
                       {.row = [=](uint64_t row) -> RowPlace {
                         return {0, row / s.rows * columns * all + s.first + row % s.rows * s.step, all};
                       }});
}

Status add_biases(Plan& plan, const std::string& name, const std::string& source, const Stack& s) {
  const uint64_t all = s.rows * s.step;
  return plan.arranged(name, {s.rows, plan.experts}, {{source, {plan.experts, all}}},
                       {.row = [=](uint64_t row) -> RowPlace {
                         return {0, row * all + s.first, s.step};
                       }});
}

Status add_expert_layer(const Decoder& decoder, uint32_t index, Plan& plan) {
  const std::string ours = fmt::format("blk.{}.ffn_", index), theirs = decoder.layer(index) + "mlp.";
  TRY(add_linear(plan, ours + "gate_inp", theirs + "router", plan.experts, decoder.width));
  for (const auto& [part, source, stack] :
       {std::tuple("gate", "gate_up_proj", Stack{decoder.inner, decoder.width, 0, 2}),
        {"up", "gate_up_proj", Stack{decoder.inner, decoder.width, 1, 2}},
        {"down", "down_proj", Stack{decoder.width, decoder.inner}}}) {
    const std::string from = theirs + "experts." + source;
    TRY(add_stack(plan, fmt::format("{}{}_exps.weight", ours, part), from, stack));
    TRY(add_biases(plan, fmt::format("{}{}_exps.bias", ours, part), from + "_bias", stack));
  }
  return {};
}

Status add_windows(const Json& config, const Decoder& decoder, Plan& plan) {
  ASSIGN_OR_RETURN(const uint32_t window, config.count_or("sliding_window", 128, 1, 1u << 30));
  plan.key("attention.sliding_window", window);
  return require_windows(config, decoder.layers, 2);
}

Status describe(const Json& config, Plan& plan) {
  const DecoderDefaults defaults{.kv_heads = 8, .head = 64, .context = 131072, .epsilon = 1e-5, .rope_base = 150000};
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(config, defaults, plan));
  const char* used = config.has("num_experts_per_tok") ? "num_experts_per_tok" : "experts_per_token";
  TRY(read_experts(config, "num_local_experts", used, plan));
  plan.key("expert_feed_forward_length", decoder.inner);
  ASSIGN_OR_RETURN(const double limit, config.number_or("swiglu_limit", 7));
  if (limit != 7)
    return error(ErrorKind::kUnsupported, "{}: swiglu_limit is {}, which is not supported; supported is 7",
                 config.file(), limit);
  TRY(add_windows(config, decoder, plan));
  TRY(add_rope_scaling(config, decoder, plan));
  const LayerNames names = {.norms = kNorms_between};
  TRY(add_ends(decoder, plan));
  for (uint32_t i = 0; i < decoder.layers; ++i) {
    TRY(add_norms(decoder, names, i, plan));
    TRY(add_attention(decoder, names, i, plan));
    TRY(plan.vector(fmt::format("blk.{}.attn_sinks.weight", i), decoder.layer(i) + "self_attn.sinks", decoder.heads));
    TRY(add_expert_layer(decoder, i, plan));
  }
  return {};
}

const Family kFamily{{"GptOssForCausalLM"}, "gpt-oss", describe};
const RegisterFamily registered(&kFamily);

}  // namespace
}  // namespace hearth::convert
