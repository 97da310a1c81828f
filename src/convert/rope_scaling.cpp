// How models stretch their rotation to contexts longer than those of their first training. Formulas and keys:
// https://github.com/huggingface/transformers/blob/main/src/transformers/modeling_rope_utils.py
#include <cmath>

#include "base/error.h"
#include "convert/decoder.h"

namespace hearth::convert {
namespace {

constexpr double kMost_factor = 1e6;

Result<double> read_factor(const Json& scaling, const char* key) {
  ASSIGN_OR_RETURN(const double factor, scaling.number(key));
  if (!(factor >= 1e-6 && factor <= kMost_factor)) return scaling.invalid(key, fmt::format("is {}", factor));
  return factor;
}

// Llama 3.1: each frequency is divided by what lies between 1 (short waves) and the factor (long ones). GGUF files have
// the divisors as a tensor.
Status add_llama3(const Json& scaling, const Decoder& decoder, Plan& plan) {
  ASSIGN_OR_RETURN(const double factor, read_factor(scaling, "factor"));
  ASSIGN_OR_RETURN(const double low, read_factor(scaling, "low_freq_factor"));
  ASSIGN_OR_RETURN(const double high, read_factor(scaling, "high_freq_factor"));
  ASSIGN_OR_RETURN(const uint32_t original, scaling.count("original_max_position_embeddings", 1, 1u << 30));
  if (high <= low) return scaling.invalid("high_freq_factor", "is not above low_freq_factor");
  std::vector<float> divisors;
  for (uint32_t i = 0; i < decoder.rotated / 2; ++i) {
    const double wave = 2 * M_PI * std::pow(decoder.rope_base, 2.0 * i / decoder.rotated);
    if (wave < original / high) {
      divisors.push_back(1);
    } else if (wave > original / low) {
      divisors.push_back(static_cast<float>(factor));
    } else {
      const double smooth = (original / wave - low) / (high - low);
      divisors.push_back(static_cast<float>(1 / ((1 - smooth) / factor + smooth)));
    }
  }
  plan.computed("rope_freqs.weight", std::move(divisors));
  return {};
}

// Both scales of the magnitude, which is 1 if they are the same. DeepSeek's scores grow with the second one.
Status add_magnitude(const Json& scaling, double log_multiplier, Plan& plan) {
  if (!scaling.has("mscale") && !scaling.has("mscale_all_dim")) return {};
  ASSIGN_OR_RETURN(const double magnitude, scaling.number_or("mscale", 1));
  ASSIGN_OR_RETURN(const double all, scaling.number_or("mscale_all_dim", 0));
  if (log_multiplier == 0 || magnitude != all)
    return error(ErrorKind::kUnsupported, "{}: rope_scaling.mscale {} with mscale_all_dim {} is not supported",
                 scaling.file(), magnitude, all);
  plan.key("rope.scaling.yarn_log_multiplier", log_multiplier * all);
  return {};
}

Status add_yarn(const Json& scaling, const Decoder& decoder, double log_multiplier, Plan& plan) {
  ASSIGN_OR_RETURN(const double factor, read_factor(scaling, "factor"));
  ASSIGN_OR_RETURN(const uint32_t original,
                   scaling.count_or("original_max_position_embeddings", decoder.context, 1, 1u << 30));
  ASSIGN_OR_RETURN(const double fast, scaling.number_or("beta_fast", 32));
  ASSIGN_OR_RETURN(const double slow, scaling.number_or("beta_slow", 1));
  TRY(add_magnitude(scaling, log_multiplier, plan));
  plan.key("rope.scaling.type", "yarn");
  plan.key("rope.scaling.factor", factor);
  plan.key("rope.scaling.original_context_length", original);
  plan.key("rope.scaling.yarn_beta_fast", fast);
  plan.key("rope.scaling.yarn_beta_slow", slow);
  if (scaling.has("attention_factor")) {
    ASSIGN_OR_RETURN(const double attention, read_factor(scaling, "attention_factor"));
    plan.key("rope.scaling.yarn_attn_factor", attention);
  }
  return {};
}

// Phi 3.5 and 4: a table of divisors for short contexts and one for long ones.
Status add_longrope(const Json& config, const Json& scaling, const Decoder& decoder, Plan& plan) {
  const Json& from = scaling.has("original_max_position_embeddings") ? scaling : config;
  ASSIGN_OR_RETURN(const uint32_t original, from.count("original_max_position_embeddings", 2, 1u << 30));
  ASSIGN_OR_RETURN(std::vector<float> long_factors, scaling.numbers("long_factor"));
  ASSIGN_OR_RETURN(std::vector<float> short_factors, scaling.numbers("short_factor"));
  for (const auto& [key, factors] :
       {std::pair("long_factor", &long_factors), std::pair("short_factor", &short_factors)})
    if (factors->size() != decoder.rotated / 2)
      return scaling.invalid(key, fmt::format("has {} numbers instead of {}", factors->size(), decoder.rotated / 2));
  const double stretch = static_cast<double>(decoder.context) / original;
  double attention = stretch <= 1 ? 1 : std::sqrt(1 + std::log(stretch) / std::log(original));
  ASSIGN_OR_RETURN(attention, scaling.number_or("attention_factor", attention));
  plan.key("rope.scaling.original_context_length", original);
  plan.key("rope.scaling.attn_factor", attention);
  plan.computed("rope_factors_long.weight", std::move(long_factors));
  plan.computed("rope_factors_short.weight", std::move(short_factors));
  return {};
}

}  // namespace

Status add_rope_scaling(const Json& config, const Decoder& decoder, Plan& plan, double log_multiplier) {
  ASSIGN_OR_RETURN(std::optional<Json> scaling, config.child("rope_scaling"));
  if (!scaling) {
    ASSIGN_OR_RETURN(scaling, config.child("rope_parameters"));
  }
  if (!scaling) return {};
  ASSIGN_OR_RETURN(std::string type, scaling->text_or("rope_type", "default"));
  if (!scaling->has("rope_type")) {
    ASSIGN_OR_RETURN(type, scaling->text_or("type", "default"));
  }
  if (type == "default" || type == "mrope") return {};  // the second: sections, which are keys of their own
  if (type == "llama3") return add_llama3(*scaling, decoder, plan);
  if (type == "yarn") return add_yarn(*scaling, decoder, log_multiplier, plan);
  if (type == "longrope" || type == "su") return add_longrope(config, *scaling, decoder, plan);
  if (type != "linear")
    return error(ErrorKind::kUnsupported,
                 "{}: rope_scaling of type '{}' is not supported; supported are linear, llama3, yarn and longrope",
                 scaling->file(), type);
  ASSIGN_OR_RETURN(const double factor, read_factor(*scaling, "factor"));
  plan.key("rope.scaling.type", "linear");
  plan.key("rope.scaling.factor", factor);
  return {};
}

}  // namespace hearth::convert
