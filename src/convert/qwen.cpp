#include "convert/qwen.h"

#include "base/error.h"

namespace hearth::convert {
namespace {

// How many of the first layers get a picture's features added, for whoever has its encoder (Qwen 3 VL).
Status add_deep_layers(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const std::optional<Json> vision, config.child("vision_config"));
  if (!vision) return {};
  ASSIGN_OR_RETURN(const std::vector<float> layers, vision->numbers("deepstack_visual_indexes"));
  plan.key("n_deepstack_layers", static_cast<uint32_t>(layers.size()));
  return {};
}

}  // namespace

Status require_experts_everywhere(const Json& config) {
  ASSIGN_OR_RETURN(const uint32_t step, config.count_or("decoder_sparse_step", 1, 1, 4096));
  const boost::json::value* dense = config.find("mlp_only_layers");
  if (step == 1 && (dense == nullptr || (dense->is_array() && dense->get_array().empty()))) return {};
  return error(ErrorKind::kUnsupported, "{}: {} asks for layers without experts, which is not supported", config.file(),
               step == 1 ? "mlp_only_layers" : "decoder_sparse_step");
}

Result<GatedShare> read_gated_share(const Json& config, uint32_t inner, uint32_t shared_inner, Plan& plan) {
  GatedShare sizes;
  ASSIGN_OR_RETURN(sizes.inner, config.count_or("moe_intermediate_size", inner, 1, 1 << 20));
  ASSIGN_OR_RETURN(sizes.shared_inner, config.count_or("shared_expert_intermediate_size", shared_inner, 1, 1 << 20));
  plan.key("expert_feed_forward_length", sizes.inner);
  plan.key("expert_shared_feed_forward_length", sizes.shared_inner);
  return sizes;
}

Status add_experts_and_share(const Decoder& decoder, const GatedShare& sizes, uint32_t index, Plan& plan) {
  TRY(add_experts(decoder, {.inner = sizes.inner, .shared = {"shared_expert"}, .shared_inner = sizes.shared_inner},
                  index, plan));
  return plan.arranged(fmt::format("blk.{}.ffn_gate_inp_shexp.weight", index), {decoder.width},
                       {{decoder.layer(index) + "mlp.shared_expert_gate.weight", {1, decoder.width}}});
}

Status add_rope_sections(const Json& config, Plan& plan) {
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    ASSIGN_OR_RETURN(const std::optional<Json> rope, config.child(key));
    if (!rope || !rope->has("mrope_section")) continue;
    ASSIGN_OR_RETURN(const std::vector<float> numbers, rope->numbers("mrope_section"));
    std::vector<uint32_t> sections;
    for (const float number : numbers) {
      if (!(number >= 0 && number <= 4096)) return rope->invalid("mrope_section", fmt::format("holds {}", number));
      sections.push_back(static_cast<uint32_t>(number));
    }
    if (sections.size() != 3) return rope->invalid("mrope_section", "does not hold three numbers");
    sections.push_back(0);
    plan.key("rope.dimension_sections", sections);
    return {};
  }
  return {};
}

Status describe_seeing_part(const Json& config, Plan& plan,
                            Status (*describe)(const Json& text, bool tied, Plan& plan)) {
  ASSIGN_OR_RETURN(const bool tied, config.boolean_or("tie_word_embeddings", false));
  TRY(add_deep_layers(config, plan));
  ASSIGN_OR_RETURN(const Json text, text_part(config, plan));
  TRY(add_rope_sections(text, plan));
  return describe(text, tied, plan);
}

}  // namespace hearth::convert
