#include "models/rope.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace hearth::models {

namespace {

using device::Rope;

Result<std::vector<float>> read_factors(const gguf::File& file, const char* name, uint32_t size) {
  const gguf::Tensor* tensor = file.tensor(name);
  if (tensor == nullptr) return std::vector<float>(size, 1.0f);
  if (tensor->values() != size || tensor->shape[0] != size)
    return error(ErrorKind::kInvalidData, "{}: tensor {} has {} values; expected {} (half the rotated dimensions)",
                 file.path(), name, tensor->values(), size);
  std::vector<std::byte> bytes(tensor->bytes);
  TRY(file.read(*tensor, 0, bytes));
  std::vector<float> factors(size);
  tensor->format->decode(reinterpret_cast<const uint8_t*>(bytes.data()), size, factors.data());
  for (const float factor : factors)
    if (!(factor > 0) || !std::isfinite(factor))
      return error(ErrorKind::kInvalidData, "{}: tensor {} holds {}; every factor must be positive", file.path(), name,
                   factor);
  return factors;
}

// Which tensor has the divisors of the frequencies.
Result<std::vector<float>> find_factors(const Metadata& keys, const ReadOptions& options, uint32_t size, Spec* spec) {
  constexpr const char *kAll = "rope_freqs.weight", *kLong = "rope_factors_long.weight",
                       *kShort = "rope_factors_short.weight";
  spec->other_tensors.insert(spec->other_tensors.end(), {kAll, kLong, kShort});
  if (keys.file().tensor(kAll) != nullptr) return read_factors(keys.file(), kAll, size);
  ASSIGN_OR_RETURN(const uint32_t original,
                   keys.count_or("rope.scaling.original_context_length", spec->context, 1, kMost_context));
  const uint32_t used = options.context != 0 ? options.context : spec->context;
  return read_factors(keys.file(), used > original ? kLong : kShort, size);
}

Result<float> scaling_factor(const Metadata& keys) {
  const char* key = keys.has("rope.scaling.factor") ? "rope.scaling.factor" : "rope.scale_linear";  // new, old name
  ASSIGN_OR_RETURN(const float factor, keys.number_or(key, 1, 0, 1e6));
  return factor == 0 ? 1.0f : factor;  // writers put 0 for "none"
}

// The dimension that turns `turns` times within the original context (Peng et al. 2023, equation 17).
double dimension_of_turns(double turns, uint32_t dims, double context, double base) {
  return dims * std::log(context / (turns * 2 * M_PI)) / (2 * std::log(base));
}

Status apply_yarn(const Metadata& keys, float base, float factor, const Spec& spec, Rope* rope) {
  ASSIGN_OR_RETURN(const uint32_t original,
                   keys.count_or("rope.scaling.original_context_length", spec.context, 1, kMost_context));
  ASSIGN_OR_RETURN(const float fast, keys.number_or("rope.scaling.yarn_beta_fast", 32, 1e-6, 1e6));
  ASSIGN_OR_RETURN(const float slow, keys.number_or("rope.scaling.yarn_beta_slow", 1, 1e-6, 1e6));
  ASSIGN_OR_RETURN(const float blend, keys.number_or("rope.scaling.yarn_ext_factor", 1, 0, 1));
  ASSIGN_OR_RETURN(const float attention, keys.number_or("rope.scaling.yarn_attn_factor", 1, 0, 1e6));
  const double low = std::max(0.0, std::floor(dimension_of_turns(fast, rope->dims, original, base)));
  const double high = std::min(rope->dims - 1.0, std::ceil(dimension_of_turns(slow, rope->dims, original, base)));
  for (uint32_t i = 0; i < rope->dims / 2; ++i) {
    const double ramp = std::clamp((i - low) / std::max(0.001, high - low), 0.0, 1.0);
    const double kept = (1 - ramp) * static_cast<double>(blend);
    float& frequency = rope->inverse_frequency[i];
    frequency = static_cast<float>(frequency * (kept + (1 - kept) / static_cast<double>(factor)));
  }
  ASSIGN_OR_RETURN(const float multiplier, keys.number_or("rope.scaling.yarn_log_multiplier", 0, 0, 1e6));
  const auto growth = [&](float by) { return 1 + by * 0.1f * std::log(factor); };
  rope->magnitude *= attention != 1 ? attention : blend != 0 ? growth(1) / growth(multiplier) : 1;  // 1: not given
  return {};
}

}  // namespace

Rope rope_of(uint32_t dims, float base, Rope::Pairs pairs) {
  Rope rope;
  rope.pairs = pairs;
  rope.dims = dims;
  for (uint32_t i = 0; i < dims / 2; ++i)
    rope.inverse_frequency.push_back(static_cast<float>(std::pow(static_cast<double>(base), -2.0 * i / dims)));
  return rope;
}

Result<Rope> plain_rope(const Metadata& keys, float base, Rope::Pairs pairs, const Spec& spec) {
  ASSIGN_OR_RETURN(const uint32_t dims, keys.count_or("rope.dimension_count", spec.key_dim, 2, spec.key_dim));
  if (dims % 2 != 0 || dims == 0)
    return keys.invalid("rope.dimension_count", fmt::format("is {}; expected an even number", dims));
  return rope_of(dims, base, pairs);
}

Result<Rope> read_rope(const Metadata& keys, const ReadOptions& options, Rope::Pairs pairs, Spec* spec, float base,
                       std::string_view scaling) {
  ASSIGN_OR_RETURN(base, keys.number_or("rope.freq_base", base, 1.0001, 1e30));
  ASSIGN_OR_RETURN(Rope rope, plain_rope(keys, base, pairs, *spec));
  ASSIGN_OR_RETURN(const std::vector<float> divisors, find_factors(keys, options, rope.dims / 2, spec));
  for (size_t i = 0; i < divisors.size(); ++i) rope.inverse_frequency[i] /= divisors[i];

  ASSIGN_OR_RETURN(rope.magnitude, keys.number_or("rope.scaling.attn_factor", 1, 0, 1e6));
  ASSIGN_OR_RETURN(const float factor, scaling_factor(keys));
  const std::string_view type = keys.file().string_or(keys.name("rope.scaling.type"), scaling);
  if (type == "none") return rope;
  if (type == "yarn") {
    TRY(apply_yarn(keys, base, factor, *spec, &rope));
    return rope;
  }
  if (type != "linear" && type != "longrope")
    return error(ErrorKind::kUnsupported,
                 "{}: {} is '{}', which is not supported; supported: none, linear, yarn, longrope", keys.file().path(),
                 keys.name("rope.scaling.type"), type);
  for (float& frequency : rope.inverse_frequency) frequency /= factor;
  return rope;
}

Status add_axes(const Metadata& keys, bool in_turns, Rope* rope) {
  const gguf::Value* value = keys.find("rope.dimension_sections");
  if (value == nullptr) value = keys.find("rope.mrope_section");
  if (value == nullptr) return {};
  if (!value->is_array() || value->element_type() == gguf::Type::kString || value->size() < device::kPlaces)
    return keys.invalid("rope.dimension_sections", "is no array of at least three numbers");
  const int64_t time = value->at_i64(0), rows = value->at_i64(1), columns = value->at_i64(2), pairs = rope->dims / 2;
  if (std::min({time, rows, columns}) < 0 || std::max({time, rows, columns}) > pairs)
    return keys.invalid("rope.dimension_sections", fmt::format("has numbers beyond the {} pairs that rotate", pairs));
  set_axes({time, rows, columns}, in_turns, rope);
  return {};
}

void set_axes(const std::array<int64_t, device::kPlaces>& sections, bool in_turns, Rope* rope) {
  const auto [time, rows, columns] = sections;
  const int64_t pairs = rope->dims / 2;
  rope->axis.assign(static_cast<size_t>(pairs), 0);
  for (int64_t i = 0; i < pairs; ++i) {
    uint8_t& axis = rope->axis[static_cast<size_t>(i)];
    if (in_turns)
      axis = i % 3 == 1 && i < 3 * rows ? 1 : i % 3 == 2 && i < 3 * columns ? 2 : 0;
    else
      axis = i < time ? 0 : i < time + rows ? 1 : 2;
  }
}

Status add_rope(const Metadata& keys, const ReadOptions& options, Rope::Pairs pairs, Spec* spec) {
  ASSIGN_OR_RETURN(Rope rope, read_rope(keys, options, pairs, spec));
  spec->ropes.push_back(std::move(rope));
  return {};
}

}  // namespace hearth::models
