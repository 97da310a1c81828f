// OPT (Zhang et al. 2022), in two forms: norms before both parts, or (350M) behind them, with narrower tables of
// tokens.
#include "base/error.h"
#include "convert/decoder.h"

namespace hearth::convert {
namespace {

const LayerNames kNames = {.norms = {{"attn_norm", "self_attn_layer_norm"}, {"ffn_norm", "final_layer_norm"}},
                           .output = "out_proj",
                           .feed_forward = {"", nullptr, "fc1", "fc2"}};
constexpr uint32_t kUnused_positions = 2;  // the first rows of the table

Status add_tables(const Decoder& decoder, uint32_t narrow, bool before, Plan& plan) {
  const std::string& from = decoder.prefix;
  TRY(plan.matrix("token_embd.weight", from + "embed_tokens.weight", decoder.vocabulary, narrow));
  const uint64_t width = decoder.width, rows = decoder.context;
  TRY(plan.arranged("position_embd.weight", {width, rows},
                    {{from + "embed_positions.weight", {rows + kUnused_positions, width}}},
                    {.row = [=](uint64_t row) -> RowPlace {
                      return {0, (row + kUnused_positions) * width, 1};
                    }}));
  if (narrow != width) {
    TRY(plan.matrix("project_in.weight", from + "project_in.weight", width, narrow));
    TRY(plan.matrix("project_out.weight", from + "project_out.weight", narrow, width));
  }
  if (!decoder.tied) TRY(plan.matrix("output.weight", "lm_head.weight", decoder.vocabulary, narrow));
  plan.leave_out("lm_head.weight");
  return before ? add_norm(plan, "output_norm", from + "final_layer_norm", width) : Status();
}

Status describe(const Json& config, Plan& plan) {
  const DecoderDefaults defaults{.context = 2048,
                                 .vocabulary = 50272,
                                 .epsilon = 1e-5,  // of torch's layer norm
                                 .tied = true,
                                 .layer_norms = true,
                                 .epsilon_key = "layer_norm_epsilon",
                                 .inner_key = "ffn_dim",
                                 .activation_key = "activation_function",
                                 .activation = "relu"};
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(config, defaults, plan));
  TRY(require_true(config, "enable_bias", true));
  TRY(require_true(config, "layer_norm_elementwise_affine", true));
  TRY(require_false(config, "_remove_final_layer_norm"));
  ASSIGN_OR_RETURN(const bool before, config.boolean_or("do_layer_norm_before", true));
  ASSIGN_OR_RETURN(const uint32_t narrow, config.count_or("word_embed_proj_dim", decoder.width, 1, 1 << 20));
  plan.key("use_post_norm", !before);
  plan.key("word_embed_proj_dim", narrow);
  TRY(add_tables(decoder, narrow, before, plan));
  for (uint32_t i = 0; i < decoder.layers; ++i) TRY(add_layer(decoder, kNames, i, plan));
  return {};
}

const Family kFamily{{"OPTForCausalLM"}, "opt", describe};
const RegisterFamily registered(&kFamily);

}  // namespace
}  // namespace hearth::convert
