// Gemma 3 (Gemma Team 2025): also norms on the heads of q and k, and two ropes. Of the models that see pictures, the
// part for text.
#include "base/error.h"
#include "convert/gemma.h"

namespace hearth::convert {
namespace {

// Five layers with a window, then one without; newer files list every layer's kind.
Result<uint32_t> window_period(const Json& config, const Decoder& decoder) {
  const char* key = config.has("sliding_window_pattern") ? "sliding_window_pattern" : "_sliding_window_pattern";
  ASSIGN_OR_RETURN(const uint32_t period, config.count_or(key, 6, 1, 4096));
  const boost::json::value* kinds = config.find("layer_types");
  if (kinds == nullptr) return period;
  if (!kinds->is_array() || kinds->get_array().size() != decoder.layers)
    return config.invalid("layer_types", "does not list every layer");
  for (uint32_t i = 0; i < decoder.layers; ++i) {
    const char* expected = (i + 1) % period == 0 ? "full_attention" : "sliding_attention";
    if (kinds->get_array()[i] != expected)
      return error(ErrorKind::kUnsupported, "{}: layer_types is not {} layers with a window and one without in turns",
                   config.file(), period - 1);
  }
  return period;
}

Status describe_text(const Json& config, Plan& plan) {
  const DecoderDefaults defaults{.heads = 8,
                                 .kv_heads = 4,
                                 .head = 256,
                                 .width = 2304,
                                 .inner = 9216,
                                 .layers = 26,
                                 .context = 131072,
                                 .vocabulary = 262208,
                                 .rope_base = 1e6,
                                 .tied = true,
                                 .activation = "gelu_pytorch_tanh"};
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(config, defaults, plan));
  TRY(require_false(config, "use_bidirectional_attention"));
  TRY(add_gemma_keys(config, decoder, 0, 0, plan));
  ASSIGN_OR_RETURN(const uint32_t window, config.count_or("sliding_window", 4096, 1, 1u << 30));
  ASSIGN_OR_RETURN(const uint32_t period, window_period(config, decoder));
  ASSIGN_OR_RETURN(const GemmaRopes ropes, read_gemma_ropes(config));
  plan.key("attention.sliding_window", window);
  plan.key("attention.sliding_window_pattern", period);
  plan.key("rope.freq_base", ropes.global);
  plan.key("rope.freq_base_swa", ropes.local);
  if (ropes.global_factor != 1) {
    plan.key("rope.scaling.type", "linear");
    plan.key("rope.scaling.factor", ropes.global_factor);
  }
  return add_tensors(decoder, {.q_norm = "q_norm", .k_norm = "k_norm", .norms = kNorms_around, .add_to_norms = 1},
                     plan);
}

Status describe_whole(const Json& config, Plan& plan) {
  if (!config.has("text_config")) return config.invalid("text_config", "is missing");
  ASSIGN_OR_RETURN(const Json text, text_part(config, plan));
  return describe_text(text, plan);
}

const Family kText{{"Gemma3ForCausalLM"}, "gemma3", describe_text};
const Family kWhole{{"Gemma3ForConditionalGeneration"}, "gemma3", describe_whole};
const RegisterFamily registered_text(&kText);
const RegisterFamily registered_whole(&kWhole);

}  // namespace
}  // namespace hearth::convert
