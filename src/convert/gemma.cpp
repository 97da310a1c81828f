#include "convert/gemma.h"

#include <cmath>

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

}  // namespace hearth::convert
