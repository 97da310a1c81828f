// Llama 4 (Meta 2025): chunks in three of four layers, experts in every or every other one, stored as columns x rows.
// Its checkpoints rotate neighbours already.
#include "base/error.h"
#include "convert/decoder.h"

namespace hearth::convert {
namespace {

constexpr uint32_t kChunk = 8192;
constexpr FeedForwardNames kDense = {.module = "feed_forward"};

// What files do not say must be what it always is.
Status require_usual(const Json& config, const Decoder& decoder) {
  const auto other = [&](const char* key) {
    return error(ErrorKind::kUnsupported, "{}: {} is not what it is in published models, which is not supported",
                 config.file(), key);
  };
  for (const auto& [key, usual] : {std::pair("floor_scale", 8192.0), {"attn_scale", 0.1}}) {
    ASSIGN_OR_RETURN(const double value, config.number_or(key, usual));
    if (value != usual) return other(key);
  }
  TRY(require_true(config, "attn_temperature_tuning", true));
  ASSIGN_OR_RETURN(const uint32_t interval, config.count_or("no_rope_layer_interval", 4, 1, 4096));
  if (interval != 4) return other("no_rope_layer_interval");
  const boost::json::value* layers = config.find("no_rope_layers");
  if (layers == nullptr || (layers->is_array() && layers->get_array().empty())) return {};
  if (!layers->is_array() || layers->get_array().size() != decoder.layers) return other("no_rope_layers");
  for (uint32_t i = 0; i < decoder.layers; ++i)
    if (layers->get_array()[i] != boost::json::value(i % 4 == 3 ? 0 : 1)) return other("no_rope_layers");
  return {};
}

Status add_expert_layer(const Decoder& decoder, uint32_t inner, uint32_t index, Plan& plan) {
  const std::string ours = fmt::format("blk.{}.ffn_", index), theirs = decoder.layer(index) + "feed_forward.";
  TRY(plan.matrix(ours + "gate_inp.weight", theirs + "router.weight", plan.experts, decoder.width));
  TRY(add_turned_stacks(decoder, inner, index, theirs + "experts.", plan));
  return add_feed_forward(decoder, {.module = "feed_forward.shared_expert"}, index, inner, "_shexp", plan);
}

// Which layers have experts.
Result<std::vector<bool>> read_expert_layers(const Json& config, const Decoder& decoder, Plan& plan) {
  ASSIGN_OR_RETURN(const uint32_t step, config.count_or("interleave_moe_layer_step", 1, 1, decoder.layers));
  plan.key("interleave_moe_layer_step", step);
  std::vector<bool> with(decoder.layers);
  for (uint32_t i = 0; i < decoder.layers; ++i) with[i] = (i + 1) % step == 0;
  if (!config.has("moe_layers")) return with;
  ASSIGN_OR_RETURN(const std::vector<float> listed, config.numbers("moe_layers"));
  with.assign(decoder.layers, false);
  for (const float layer : listed) {
    if (!(layer >= 0 && layer < static_cast<float>(decoder.layers)))
      return config.invalid("moe_layers", fmt::format("holds {}", layer));
    with[static_cast<size_t>(layer)] = true;
  }
  return with;
}

Status describe(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const bool tied, config.boolean_or("tie_word_embeddings", false));
  ASSIGN_OR_RETURN(const Json text, text_part(config, plan));
  const DecoderDefaults defaults{.kv_heads = 8,
                                 .head = 128,
                                 .context = 131072,
                                 .epsilon = 1e-5,
                                 .rope_base = 5e5,
                                 .tied = tied,
                                 .inner_key = "intermediate_size_mlp"};
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(text, defaults, plan));
  TRY(require_usual(text, decoder));
  TRY(read_experts(text, "num_local_experts", "num_experts_per_tok", plan));
  ASSIGN_OR_RETURN(const uint32_t inner, text.count("intermediate_size", 1, 1 << 20));
  ASSIGN_OR_RETURN(const uint32_t chunk, text.count_or("attention_chunk_size", kChunk, 1, 1 << 30));
  ASSIGN_OR_RETURN(const bool norms, text.boolean_or("use_qk_norm", true));
  ASSIGN_OR_RETURN(const std::vector<bool> with_experts, read_expert_layers(text, decoder, plan));
  plan.key("expert_feed_forward_length", inner);
  plan.key("attention.chunk_size", chunk);
  plan.key("use_qk_norm", norms);
  TRY(add_rope_scaling(text, decoder, plan));
  TRY(add_ends(decoder, plan));
  for (uint32_t i = 0; i < decoder.layers; ++i) {
    TRY(add_norms(decoder, {}, i, plan));
    TRY(add_attention(decoder, {}, i, plan));
    TRY(with_experts[i] ? add_expert_layer(decoder, inner, i, plan)
                        : add_feed_forward(decoder, kDense, i, decoder.inner, "", plan));
  }
  return {};
}

const Family kFamily{{"Llama4ForCausalLM", "Llama4ForConditionalGeneration"}, "llama4", describe};
const RegisterFamily registered(&kFamily);

}  // namespace
}  // namespace hearth::convert
