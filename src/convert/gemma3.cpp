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

// Newer files have one object for each kind of layer: rope_parameters.full_attention.
struct Ropes {
  double global = 1e6, local = 1e4, global_factor = 1;
};
Result<Ropes> read_ropes(const Json& config) {
  Ropes ropes;
  ASSIGN_OR_RETURN(ropes.global, config.number_or("rope_theta", ropes.global));
  ASSIGN_OR_RETURN(ropes.local, config.number_or("rope_local_base_freq", ropes.local));
  ASSIGN_OR_RETURN(std::optional<Json> scaling, config.child("rope_scaling"));
  ASSIGN_OR_RETURN(const std::optional<Json> parameters, config.child("rope_parameters"));
  if (parameters) {
    ASSIGN_OR_RETURN(scaling, parameters->child("full_attention"));
    ASSIGN_OR_RETURN(const std::optional<Json> local, parameters->child("sliding_attention"));
    if (scaling) {
      ASSIGN_OR_RETURN(ropes.global, scaling->number_or("rope_theta", ropes.global));
    }
    if (local) {
      ASSIGN_OR_RETURN(ropes.local, local->number_or("rope_theta", ropes.local));
    }
  }
  if (!scaling) return ropes;
  ASSIGN_OR_RETURN(const std::string type, scaling->text_or("rope_type", "default"));
  if (type == "default") return ropes;
  if (type != "linear")
    return error(ErrorKind::kUnsupported, "{}: a rope of type '{}' is not supported for Gemma 3; supported is linear",
                 scaling->file(), type);
  ASSIGN_OR_RETURN(ropes.global_factor, scaling->number("factor"));
  if (!(ropes.global_factor >= 1e-6 && ropes.global_factor <= 1e6)) return scaling->invalid("factor", "makes no sense");
  return ropes;
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
  ASSIGN_OR_RETURN(const Ropes ropes, read_ropes(config));
  plan.key("attention.sliding_window", window);
  plan.key("attention.sliding_window_pattern", period);
  plan.key("rope.freq_base", ropes.global);
  plan.key("rope.freq_base_swa", ropes.local);
  if (ropes.global_factor != 1) {
    plan.key("rope.scaling.type", "linear");
    plan.key("rope.scaling.factor", ropes.global_factor);
  }
  return add_tensors(decoder, {.qk_norms = true, .post_norms = true, .add_to_norms = 1}, plan);
}

Status describe_whole(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const std::optional<Json> text, config.child("text_config"));
  if (!text) return config.invalid("text_config", "is missing");
  size_t left_out = 0;
  for (const char* part :
       {"vision_tower.", "multi_modal_projector.", "model.vision_tower.", "model.multi_modal_projector."})
    left_out += plan.leave_out_all(part);
  if (left_out != 0)
    plan.notes.push_back(
        fmt::format("the part that sees pictures ({} tensors) is left out: the model gets text only", left_out));
  return describe_text(*text, plan);
}

const Family kText{{"Gemma3ForCausalLM"}, "gemma3", describe_text};
const Family kWhole{{"Gemma3ForConditionalGeneration"}, "gemma3", describe_whole};
const RegisterFamily registered_text(&kText);
const RegisterFamily registered_whole(&kWhole);

}  // namespace
}  // namespace hearth::convert
