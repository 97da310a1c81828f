#include "models/metadata.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace hearth::models {

namespace {

// Keys that change what a model computes in ways that nothing here implements, and the value (besides
// 0, which writers put where a key is not used) at which they change nothing.
struct Foreign {
  const char* key;
  double neutral;
};
constexpr Foreign kForeign[] = {
    {"attention.clamp_kqv", 0},
    {"attention.max_alibi_bias", 0},
    {"attention.temperature_scale", 0},
    {"attention.shared_kv_layers", 0},
    {"attention.kv_lora_rank", 0},
    {"moe_latent_size", 0},
    {"embedding_length_per_layer_input", 0},
    {"embedding_scale", 1},
    {"residual_scale", 1},
    {"logit_scale", 1},
    {"use_parallel_residual", 0},
    {"expert_shared_count", 0},
    {"expert_group_used_count", 1},
    {"expert_gating_func", 1},  // softmax
    {"nextn_predict_layers", 0},
    {"rope.scaling.yarn_log_multiplier", 0},
};

Error unsupported(const Metadata& keys, std::string_view key, const std::string& value) {
  return error(ErrorKind::kUnsupported, "{}: {} = {} asks for a behaviour that is not supported", keys.file().path(),
               keys.name(key), value);
}

Status refuse_foreign(const Metadata& keys, std::initializer_list<std::string_view> understood) {
  for (const Foreign& foreign : kForeign) {
    const gguf::Value* value = keys.find(foreign.key);
    if (value == nullptr || std::find(understood.begin(), understood.end(), foreign.key) != understood.end()) continue;
    std::optional<double> number = value->as_f64();
    if (!number && value->as_bool()) number = *value->as_bool() ? 1 : 0;
    if (!number) return unsupported(keys, foreign.key, "(not a number)");
    if (*number != 0 && *number != foreign.neutral) return unsupported(keys, foreign.key, fmt::format("{}", *number));
  }
  if (!keys.file().bool_or(keys.name("attention.causal"), true)) return unsupported(keys, "attention.causal", "false");
  return {};
}

Status read_experts(const Metadata& keys, Spec* spec) {
  ASSIGN_OR_RETURN(spec->experts, keys.count_or("expert_count", 0, 0, kMost_experts));
  if (spec->experts == 0) return {};
  ASSIGN_OR_RETURN(spec->experts_used, keys.count("expert_used_count", 1, spec->experts));
  ASSIGN_OR_RETURN(spec->expert_feed_forward,
                   keys.count_or("expert_feed_forward_length", spec->feed_forward, 1, kMost_width));
  ASSIGN_OR_RETURN(spec->expert_scale, keys.number_or("expert_weights_scale", 1, 0, 1e6));
  if (spec->expert_scale == 0) spec->expert_scale = 1;  // writers' "not set"
  spec->normalise_experts = keys.flag_or("expert_weights_norm", true);
  return {};
}

using Understood = std::initializer_list<std::string_view>;

// A count of at least 1, unless the architecture knows layers without.
Result<uint32_t> size_of(const Metadata& keys, std::string_view key, uint32_t most, Understood understood) {
  const bool varies = std::find(understood.begin(), understood.end(), key) != understood.end();
  return varies ? keys.largest(key, most) : keys.count(key, 1, most);
}

Status read_heads(const Metadata& keys, Understood understood, Spec* spec) {
  ASSIGN_OR_RETURN(spec->heads, size_of(keys, "attention.head_count", kMost_heads, understood));
  if (spec->heads == 0) return {};
  spec->kv_heads = spec->heads;
  if (keys.has("attention.head_count_kv")) {
    ASSIGN_OR_RETURN(spec->kv_heads, size_of(keys, "attention.head_count_kv", kMost_heads, understood));
  }
  if (spec->kv_heads == 0) return keys.invalid("attention.head_count_kv", "is 0 in all layers");
  if (spec->heads % spec->kv_heads != 0)
    return keys.invalid("attention.head_count_kv",
                        fmt::format("is {}, which does not divide the {} query heads", spec->kv_heads, spec->heads));
  const uint32_t even_share = spec->width / spec->heads;
  ASSIGN_OR_RETURN(spec->key_dim, keys.count_or("attention.key_length", even_share, 1, kMost_head));
  ASSIGN_OR_RETURN(spec->value_dim, keys.count_or("attention.value_length", even_share, 1, kMost_head));
  if (spec->key_dim == 0 || spec->value_dim == 0 || spec->key_dim > kMost_head || spec->value_dim > kMost_head)
    return keys.invalid("attention.head_count",
                        fmt::format("is {}, which does not fit the width of {}", spec->heads, spec->width));
  return {};
}

Status read_attention(const Metadata& keys, Spec* spec) {
  if (spec->heads == 0) return {};
  const float usual = 1 / std::sqrt(static_cast<float>(spec->key_dim));
  ASSIGN_OR_RETURN(spec->attention_scale, keys.number_or("attention.scale", usual, 0, 1e6));
  if (spec->attention_scale == 0) spec->attention_scale = usual;
  ASSIGN_OR_RETURN(spec->attention_soft_cap, keys.number_or("attn_logit_softcapping", 0, 0, 1e9));
  ASSIGN_OR_RETURN(spec->logit_soft_cap, keys.number_or("final_logit_softcapping", 0, 0, 1e9));
  return {};
}

Status read_vocabulary(const gguf::File& file, Spec* spec) {
  const gguf::Tensor* table = file.tensor("token_embd.weight");
  if (table == nullptr) return error(ErrorKind::kInvalidData, "{}: tensor token_embd.weight is missing", file.path());
  if (table->shape[1] == 0 || table->shape[1] > kMost_width)
    return error(ErrorKind::kInvalidData, "{}: tensor token_embd.weight has {} rows; expected 1 to {}", file.path(),
                 table->shape[1], kMost_width);
  spec->vocabulary = static_cast<uint32_t>(table->shape[1]);
  return {};
}

}  // namespace

const gguf::Value* Metadata::find(std::string_view key) const {
  static constexpr std::pair<std::string_view, std::string_view> kOf_ollama[] = {
      {"rope.scaling.yarn_beta_fast", "rope.scaling.beta_fast"},
      {"rope.scaling.yarn_beta_slow", "rope.scaling.beta_slow"},
      {"rope.scaling.yarn_log_multiplier", "rope.scaling.mscale_all_dim"},
      {"rope.scaling.yarn_ext_factor", "rope.scaling.extrapolation_factor"},
      {"rope.freq_base_swa", "rope.freq_base_local"},
      {"attention.temperature_scale", "rope.scaling_beta"},
      {"expert_weights_norm", "norm_top_k_prob"},
  };
  const gguf::Value* value = file_.find(name(key));
  for (const auto& [usual, other] : kOf_ollama)
    if (value == nullptr && key == usual) value = file_.find(name(other));
  return value;
}

namespace {

// Keys that leave the results alone: what tensors say again, what others make of the file, other norms' numbers. One
// that ends in '.' stands for all that begin so: pictures and sound have tensors of their own.
constexpr std::string_view kHarmless[] = {"vision.",
                                          "audio.",
                                          "mm.",
                                          "projector.",
                                          "altup.lr_multiplier",
                                          "classifier.",
                                          "attention.causal",
                                          "attention.layer_norm_epsilon",
                                          "attention.layer_norm_rms_epsilon",
                                          "attention.key_length_mla",
                                          "attention.value_length_mla",
                                          "image_token_index",
                                          "interleave_moe_layer_step",
                                          "leading_dense_block_count",
                                          "moe_every_n_layers",
                                          "mrope_sections",
                                          "n_deepstack_layers",
                                          "pooling_type",
                                          "rope.dimension_count",
                                          "rope.dimension_sections",
                                          "rope.freq_base",
                                          "rope.mrope_interleaved",
                                          "rope.mrope_section",
                                          "rope.scaling.finetuned",
                                          "rope.scaling.attn_factor",
                                          "rope.scaling.beta_fast",
                                          "rope.scaling.beta_slow",
                                          "rope.scaling.extrapolation_factor",
                                          "rope.scaling.factor",
                                          "rope.scaling.original_context_length",
                                          "rope.scaling.yarn_attn_factor",
                                          "rope.scaling.yarn_beta_fast",
                                          "rope.scaling.yarn_beta_slow",
                                          "rope.scaling.yarn_ext_factor",
                                          "spatial_merge_size",
                                          "tensor_data_layout",
                                          "vision_end_token_id",
                                          "vision_start_token_id",
                                          "vocab_size"};

bool is_harmless(const Spec& spec, std::string_view key) {
  for (const std::string_view harmless : kHarmless)
    if (key == harmless || (harmless.ends_with('.') && key.starts_with(harmless))) return true;
  if (spec.experts == 0 && key.starts_with("expert_")) return true;
  return spec.ropes.empty() && key.starts_with("rope.");
}

// Says which layers have windows, as one flag for each or as the period of those without, what the architecture knows.
bool says_the_same_of_windows(const Spec& spec, const gguf::Value& value) {
  const uint64_t period = value.as_u64().value_or(0);
  for (uint32_t i = 0; i < spec.layers; ++i) {
    const bool in_list = value.is_array() && i < value.size() && value.element_type() != gguf::Type::kString;
    if (!in_list && period == 0) return false;
    const bool windowed = in_list ? value.at_i64(i) != 0 : (i + 1) % period != 0;
    if (windowed != (spec.per_layer[i].window != 0)) return false;
  }
  return true;
}

// Says of layers with a window what holds for all, or the size of a head under another name.
bool repeats(const Metadata& keys, const Spec& spec, std::string_view key, const gguf::Value& value) {
  const std::optional<double> number = value.as_f64();
  if (!number) return false;
  if (key == "head_dim" || key == "attention.head_dim") return *number == spec.key_dim;
  if (key == "expert_group_count") return *number == 1;
  constexpr std::string_view kOf_windows = "_swa";
  if (!key.ends_with(kOf_windows)) return false;
  const gguf::Value* of_all = keys.find(key.substr(0, key.size() - kOf_windows.size()));
  return of_all != nullptr && of_all->as_f64() == number;
}

bool asks_for_nothing(const gguf::Value& value) {
  if (value.as_bool()) return !*value.as_bool();
  return value.as_f64().value_or(1) == 0;
}

}  // namespace

Status Metadata::refuse_unknown(const Spec& spec) const {
  for (const auto& [full, value] : file_.metadata()) {
    if (!std::string_view(full).starts_with(prefix_)) continue;
    const std::string_view key = std::string_view(full).substr(prefix_.size());
    if (asked_.contains(key) || is_harmless(spec, key) || asks_for_nothing(value)) continue;
    if (key == "attention.sliding_window_pattern" && says_the_same_of_windows(spec, value)) continue;
    if (key == "ssm.v_head_reordered" && spec.recurrent.interleaved) continue;
    if (repeats(*this, spec, key, value)) continue;
    return error(ErrorKind::kUnsupported, "{}: {} is not known for architecture {}; what it asks for is not supported",
                 file_.path(), full, spec.architecture);
  }
  return {};
}

bool Metadata::flag_or(std::string_view key, bool fallback) const {
  const gguf::Value* value = find(key);
  return value == nullptr ? fallback : value->as_bool().value_or(fallback);
}

Error Metadata::invalid(std::string_view key, const std::string& why) const {
  return error(ErrorKind::kInvalidData, "{}: {} {}", file_.path(), name(key), why);
}

Result<uint32_t> Metadata::count(std::string_view key, uint32_t least, uint32_t most) const {
  const gguf::Value* value = find(key);
  if (value == nullptr) return invalid(key, "is missing");
  std::optional<uint64_t> number = value->as_u64();
  if (value->is_array() && value->size() > 0 && value->element_type() != gguf::Type::kString) {
    for (size_t i = 1; i < value->size(); ++i)
      if (value->at_i64(i) != value->at_i64(0))
        return error(ErrorKind::kUnsupported, "{}: {} differs from layer to layer, which is not supported",
                     file_.path(), name(key));
    if (value->at_i64(0) >= 0) number = static_cast<uint64_t>(value->at_i64(0));
  }
  if (!number) return invalid(key, "is not a whole number of at least 0");
  if (*number < least || *number > most)
    return invalid(key, fmt::format("is {}; expected {} to {}", *number, least, most));
  return static_cast<uint32_t>(*number);
}

Result<uint32_t> Metadata::count_or(std::string_view key, uint32_t fallback, uint32_t least, uint32_t most) const {
  if (!has(key)) return fallback;
  return count(key, least, most);
}

Result<uint32_t> Metadata::largest(std::string_view key, uint32_t most) const {
  const gguf::Value* value = find(key);
  if (value == nullptr) return invalid(key, "is missing");
  if (!value->is_array()) return count(key, 0, most);
  if (value->element_type() == gguf::Type::kString) return invalid(key, "is not a list of whole numbers");
  int64_t found = 0;
  for (size_t i = 0; i < value->size(); ++i) {
    const int64_t one = value->at_i64(i);
    if (one < 0 || one > most) return invalid(key, fmt::format("has {}; expected 0 to {}", one, most));
    found = std::max(found, one);
  }
  return static_cast<uint32_t>(found);
}

Status Metadata::refuse_different(std::string_view key) const {
  const gguf::Value* value = find(key);
  if (value == nullptr || !value->is_array() || value->element_type() == gguf::Type::kString) return {};
  int64_t found = 0;
  for (size_t i = 0; i < value->size(); ++i) {
    const int64_t one = value->at_i64(i);
    if (one != 0 && found != 0 && one != found)
      return error(ErrorKind::kUnsupported, "{}: {} has {} and {}; what differs from layer to layer is not supported",
                   file_.path(), name(key), found, one);
    found = std::max(found, one);
  }
  return {};
}

uint64_t Metadata::of_layer(std::string_view key, uint32_t layer, uint64_t fallback) const {
  const gguf::Value* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_array()) return value->as_u64().value_or(fallback);
  if (value->element_type() == gguf::Type::kString || layer >= value->size()) return fallback;
  return static_cast<uint64_t>(std::max<int64_t>(value->at_i64(layer), 0));
}

float Metadata::number_of_layer(std::string_view key, uint32_t layer, float fallback) const {
  const gguf::Value* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_array()) return static_cast<float>(value->as_f64().value_or(NAN));
  if (value->element_type() == gguf::Type::kString || layer >= value->size()) return NAN;
  return static_cast<float>(value->at_f64(layer));
}

Result<float> Metadata::number(std::string_view key, double least, double most) const {
  const gguf::Value* value = find(key);
  if (value == nullptr) return invalid(key, "is missing");
  const std::optional<double> number = value->as_f64();
  if (!number) return invalid(key, "is not a number");
  if (!(*number >= least && *number <= most))
    return invalid(key, fmt::format("is {}; expected {} to {}", *number, least, most));
  return static_cast<float>(*number);
}

Result<float> Metadata::number_or(std::string_view key, float fallback, double least, double most) const {
  if (!has(key)) return fallback;
  return number(key, least, most);
}

Result<Spec> read_sizes(const Metadata& keys, std::initializer_list<std::string_view> understood) {
  Spec spec;
  spec.architecture = keys.file().string_or("general.architecture", "");
  TRY(refuse_foreign(keys, understood));
  ASSIGN_OR_RETURN(spec.context, keys.count("context_length", 1, kMost_context));
  ASSIGN_OR_RETURN(spec.layers, keys.count("block_count", 1, kMost_layers));
  ASSIGN_OR_RETURN(spec.width, keys.count("embedding_length", 1, kMost_width));
  ASSIGN_OR_RETURN(spec.feed_forward, size_of(keys, "feed_forward_length", kMost_width, understood));
  TRY(read_vocabulary(keys.file(), &spec));
  TRY(read_heads(keys, understood, &spec));
  TRY(read_attention(keys, &spec));
  TRY(read_experts(keys, &spec));
  spec.per_layer.resize(spec.layers);
  return spec;
}

Status read_routing(const Metadata& keys, bool normalise, Spec* spec) {
  if (spec->experts == 0) return {};
  spec->normalise_experts = keys.flag_or("expert_weights_norm", normalise);
  constexpr uint32_t kSoftmax = 1, kSigmoid = 2, kSoftmaxOfChosen = 3;  // in GGUF files
  ASSIGN_OR_RETURN(const uint32_t gating, keys.count_or("expert_gating_func", 0, 0, kSoftmaxOfChosen));
  if (gating == kSoftmax || gating == kSoftmaxOfChosen) spec->expert_gating = device::Gating::kSoftmax;
  if (gating == kSigmoid) spec->expert_gating = device::Gating::kSigmoid;
  if (gating == kSoftmaxOfChosen) spec->normalise_experts = true;
  ASSIGN_OR_RETURN(const uint32_t groups, keys.count_or("expert_group_count", 0, 0, spec->experts));
  if (groups > 1) {
    ASSIGN_OR_RETURN(spec->expert_groups_used, keys.count("expert_group_used_count", 1, groups));
    spec->expert_groups = groups;
    if (spec->experts % groups != 0 || spec->experts / groups * spec->expert_groups_used < spec->experts_used)
      return keys.invalid("expert_group_count", fmt::format("is {}, which does not fit {} experts of which {} are used",
                                                            groups, spec->experts, spec->experts_used));
  }
  ASSIGN_OR_RETURN(const uint32_t shared, keys.count_or("expert_shared_count", 0, 0, kMost_experts));
  const uint64_t together = uint64_t{shared} * spec->expert_feed_forward;
  if (together > kMost_width) return keys.invalid("expert_shared_count", fmt::format("is {}: too large", shared));
  ASSIGN_OR_RETURN(spec->shared_feed_forward,
                   keys.count_or("expert_shared_feed_forward_length", static_cast<uint32_t>(together), 0, kMost_width));
  return {};
}

Status leave_out_predictors(const Metadata& keys, Spec* spec) {
  ASSIGN_OR_RETURN(const uint32_t predictors, keys.count_or("nextn_predict_layers", 0, 0, spec->layers - 1));
  for (uint32_t i = 0; i < predictors; ++i) spec->other_tensors.push_back(fmt::format("blk.{}.", --spec->layers));
  spec->per_layer.resize(spec->layers);
  return {};
}

Status read_rms_norm(const Metadata& keys, Spec* spec) {
  spec->norm = device::NormKind::kRms;
  ASSIGN_OR_RETURN(spec->norm_epsilon, keys.number("attention.layer_norm_rms_epsilon", 0, 1));
  return {};
}

Status read_layer_norm(const Metadata& keys, Spec* spec) {
  spec->norm = device::NormKind::kLayer;
  ASSIGN_OR_RETURN(spec->norm_epsilon, keys.number("attention.layer_norm_epsilon", 0, 1));
  return {};
}

void open_every_fourth(uint32_t window, Spec* spec) {
  for (uint32_t i = 0; i < spec->layers; ++i) {
    if (i % 4 == 3)
      spec->per_layer[i].rope = kNo_rope;
    else
      spec->per_layer[i].window = window;
  }
}

Status read_window(const Metadata& keys, uint32_t fallback, Spec* spec) {
  ASSIGN_OR_RETURN(const uint32_t window, keys.count_or("attention.sliding_window", fallback, 0, kMost_context));
  for (LayerSpec& layer : spec->per_layer) layer.window = window;
  return {};
}

}  // namespace hearth::models
