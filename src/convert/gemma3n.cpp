// Gemma 3n (Google 2025): a residual of four streams, inputs of every layer's own, sparse gates in the first layers,
// and layers at the end that read the caches of two before them. Of the models that see and hear, the part for text.
#include <boost/math/special_functions/erf.hpp>

#include "base/error.h"
#include "convert/gemma.h"

namespace hearth::convert {
namespace {

struct Sizes {
  uint32_t inputs = 0, streams = 0, side_rank = 0, shared = 0, table_rows = 0;
};

Result<Sizes> read_sizes(const Json& config, const Decoder& decoder, Plan& plan) {
  Sizes s;
  ASSIGN_OR_RETURN(s.inputs, config.count_or("hidden_size_per_layer_input", 256, 1, 1 << 13));
  ASSIGN_OR_RETURN(s.streams, config.count_or("altup_num_inputs", 4, 2, 64));
  ASSIGN_OR_RETURN(s.side_rank, config.count_or("laurel_rank", 64, 1, 1 << 13));
  ASSIGN_OR_RETURN(s.shared, config.count_or("num_kv_shared_layers", 15, 0, decoder.layers - 1));
  ASSIGN_OR_RETURN(s.table_rows, config.count_or("vocab_size_per_layer_input", 262144, 1, decoder.vocabulary));
  ASSIGN_OR_RETURN(const uint32_t active, config.count_or("altup_active_idx", 0, 0, s.streams - 1));
  plan.key("embedding_length_per_layer_input", s.inputs);
  plan.key("altup.num_inputs", s.streams);
  plan.key("altup.active_idx", active);
  plan.key("attention.shared_kv_layers", s.shared);
  return s;
}

// Which part of the gates counts for nothing, as a distance from their mean in standard deviations.
Status add_sparsity(const Json& config, uint32_t layers, Plan& plan) {
  std::vector<float> parts(layers, 0), deviations;
  if (config.has("activation_sparsity_pattern")) {
    ASSIGN_OR_RETURN(parts, config.numbers("activation_sparsity_pattern"));
  }
  if (parts.size() != layers) return config.invalid("activation_sparsity_pattern", "does not list every layer");
  for (const float part : parts) {
    if (!(part >= 0 && part < 1)) return config.invalid("activation_sparsity_pattern", fmt::format("holds {}", part));
    // The quantile of the normal distribution.
    const auto quantile = [](double p) { return -std::sqrt(2.0) * boost::math::erfc_inv(2 * p); };
    deviations.push_back(part == 0 ? 0 : static_cast<float>(quantile(static_cast<double>(part))));
  }
  plan.key("activation_sparsity_scale", deviations);
  return {};
}

Status add_streams(const Sizes& s, const Decoder& decoder, Plan& plan) {
  for (const auto& [ours, theirs] : {std::pair("altup_proj.weight", "altup_projections"),
                                     {"altup_unembd_proj.weight", "altup_unembed_projections"}}) {
    std::vector<std::string> sources;
    for (uint32_t i = 0; i + 1 < s.streams; ++i)
      sources.push_back(fmt::format("{}{}.{}.weight", decoder.prefix, theirs, i));
    TRY(plan.stack(ours, sources, decoder.width, decoder.width));
  }
  return {};
}

Status add_stream_layer(const Sizes& s, const Decoder& decoder, uint32_t index, Plan& plan) {
  const std::string block = fmt::format("blk.{}.", index), source = decoder.layer(index);
  const uint64_t width = decoder.width, count = s.streams;
  TRY(add_norm(plan, block + "altup_router_norm", source + "altup.router_norm", width));
  TRY(plan.matrix(block + "altup_router.weight", source + "altup.modality_router.weight", count, width));
  TRY(plan.matrix(block + "altup_predict_coef.weight", source + "altup.prediction_coefs.weight", count * count, count));
  TRY(plan.matrix(block + "altup_correct_coef.weight", source + "altup.correction_coefs.weight", count, count));
  TRY(plan.vector(block + "altup_correct_scale.weight", source + "altup.correct_output_scale", width));
  TRY(plan.matrix(block + "laurel_l.weight", source + "laurel.linear_left.weight", s.side_rank, width));
  TRY(plan.matrix(block + "laurel_r.weight", source + "laurel.linear_right.weight", width, s.side_rank));
  return add_norm(plan, block + "laurel_post_norm", source + "laurel.post_laurel_norm", width);
}

Status describe(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const Json text, text_part(config, plan));
  const DecoderDefaults defaults{.heads = 8,
                                 .kv_heads = 2,
                                 .head = 256,
                                 .width = 2048,
                                 .inner = 16384,
                                 .layers = 35,
                                 .context = 32768,
                                 .vocabulary = 262400,
                                 .rope_base = 1e6,
                                 .tied = true,
                                 .activation = "gelu_pytorch_tanh"};
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(text, defaults, plan));
  ASSIGN_OR_RETURN(const Sizes sizes, read_sizes(text, decoder, plan));
  ASSIGN_OR_RETURN(const GemmaRopes ropes, read_gemma_ropes(text));
  ASSIGN_OR_RETURN(const uint32_t window, text.count_or("sliding_window", 512, 1, 1u << 30));
  ASSIGN_OR_RETURN(const double cap, text.number_or("final_logit_softcapping", 30));
  plan.key("rope.freq_base", ropes.global);
  plan.key("rope.freq_base_swa", ropes.local);
  plan.key("attention.sliding_window", window);
  plan.key("final_logit_softcapping", cap);
  TRY(add_window_flags(text, decoder.layers, 5, plan));
  TRY(add_sparsity(text, decoder.layers, plan));
  const LayerNames names = {.q_norm = "q_norm", .k_norm = "k_norm", .norms = kNorms_around};
  TRY(add_ends(decoder, plan));
  TRY(add_layer_table(decoder, sizes.inputs, sizes.table_rows, plan));
  TRY(add_streams(sizes, decoder, plan));
  for (uint32_t i = 0; i < decoder.layers; ++i) {
    TRY(add_layer(decoder, names, i, plan));
    TRY(add_layer_input(decoder, sizes.inputs, i, plan));
    TRY(add_stream_layer(sizes, decoder, i, plan));
  }
  return {};
}

const Family kFamily{{"Gemma3nForCausalLM", "Gemma3nForConditionalGeneration"}, "gemma3n", describe};
const RegisterFamily registered(&kFamily);

}  // namespace
}  // namespace hearth::convert
