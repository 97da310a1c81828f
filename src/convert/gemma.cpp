#include "convert/gemma.h"

#include <cmath>

#include "base/error.h"

namespace hearth::convert {

Status add_gemma_keys(const Json& config, const Decoder& decoder, double attention_cap, double logit_cap, Plan& plan) {
  ASSIGN_OR_RETURN(const double scalar, config.number_or("query_pre_attn_scalar", 256));
  if (!(scalar >= 1 && scalar <= 1e6)) return config.invalid("query_pre_attn_scalar", "makes no sense");
  if (scalar != static_cast<double>(decoder.head)) plan.key("attention.scale", 1 / std::sqrt(scalar));
  // A null in the file is a cap that is switched off, not one that is not given.
  const auto cap = [&](const char* key, double fallback) -> Result<double> {
    return config.object().contains(key) ? config.number_or(key, 0) : fallback;
  };
  ASSIGN_OR_RETURN(const double attention, cap("attn_logit_softcapping", attention_cap));
  ASSIGN_OR_RETURN(const double logits, cap("final_logit_softcapping", logit_cap));
  plan.key("attn_logit_softcapping", attention);
  plan.key("final_logit_softcapping", logits);
  return {};
}

Result<GemmaRopes> read_gemma_ropes(const Json& config) {
  GemmaRopes ropes;
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
  ASSIGN_OR_RETURN(ropes.global_part, scaling->number_or("partial_rotary_factor", 1));
  if (!(ropes.global_part > 0 && ropes.global_part <= 1))
    return scaling->invalid("partial_rotary_factor", "is not above 0 and at most 1");
  if (type == "default" || type == "proportional") return ropes;
  if (type != "linear")
    return error(ErrorKind::kUnsupported, "{}: a rope of type '{}' is not supported for Gemma; supported is linear",
                 scaling->file(), type);
  ASSIGN_OR_RETURN(ropes.global_factor, scaling->number("factor"));
  if (!(ropes.global_factor >= 1e-6 && ropes.global_factor <= 1e6)) return scaling->invalid("factor", "makes no sense");
  return ropes;
}

Result<std::vector<bool>> add_window_flags(const Json& config, uint32_t layers, uint32_t period, Plan& plan) {
  ASSIGN_OR_RETURN(const std::vector<std::string> types, read_layer_types(config, layers));
  std::vector<bool> windows;
  for (uint32_t i = 0; i < layers; ++i) {
    if (!types.empty() && types[i] != "sliding_attention" && types[i] != "full_attention")
      return error(ErrorKind::kUnsupported, "{}: layer_types has '{}', which is not supported", config.file(),
                   types[i]);
    windows.push_back(types.empty() ? (i + 1) % period != 0 : types[i] == "sliding_attention");
  }
  plan.key("attention.sliding_window_pattern", windows);
  return windows;
}

Status add_layer_table(const Decoder& decoder, uint32_t width, uint32_t rows, Plan& plan) {
  const uint64_t all = uint64_t{decoder.layers} * width;
  const std::string& from = decoder.prefix;
  // Tokens beyond the table, which stand for pictures and sound, have the first one's inputs.
  TRY(plan.arranged("per_layer_token_embd.weight", {all, decoder.vocabulary},
                    {{from + "embed_tokens_per_layer.weight", {rows, all}}}, {.row = [=](uint64_t row) -> RowPlace {
                      return {0, (row < rows ? row : 0) * all, 1};
                    }}));
  TRY(add_linear(plan, "per_layer_model_proj", from + "per_layer_model_projection", all, decoder.width));
  return add_norm(plan, "per_layer_proj_norm", from + "per_layer_projection_norm", width);
}

Status add_layer_input(const Decoder& decoder, uint32_t width, uint32_t index, Plan& plan) {
  const std::string block = fmt::format("blk.{}.", index), source = decoder.layer(index);
  TRY(add_linear(plan, block + "inp_gate", source + "per_layer_input_gate", width, decoder.width));
  TRY(add_linear(plan, block + "proj", source + "per_layer_projection", decoder.width, width));
  return add_norm(plan, block + "post_norm", source + "post_per_layer_input_norm", decoder.width);
}

}  // namespace hearth::convert
