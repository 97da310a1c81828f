#include "gguf/quantization_recipe.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace hearth::gguf {
namespace {

struct NamedRecipe {
  const char* name;
  uint32_t file_type;
  const char* base;
};

constexpr NamedRecipe kRecipes[] = {
    {"F32", 0, "F32"},         {"F16", 1, "F16"},          {"BF16", 32, "BF16"},    {"Q8_0", 7, "Q8_0"},
    {"Q6_K", 18, "Q6_K"},      {"Q5_K_M", 17, "Q5_K"},     {"Q5_K_S", 16, "Q5_K"},  {"Q5_1", 9, "Q5_1"},
    {"Q5_0", 8, "Q5_0"},       {"Q4_K_M", 15, "Q4_K"},     {"Q4_K_S", 14, "Q4_K"},  {"IQ4_NL", 25, "IQ4_NL"},
    {"IQ4_XS", 30, "IQ4_XS"},  {"Q4_1", 3, "Q4_1"},        {"Q4_0", 2, "Q4_0"},     {"MXFP4", 38, "MXFP4"},
    {"MXFP4_MOE", 38, "Q8_0"}, {"Q3_K_L", 13, "Q3_K"},     {"Q3_K_M", 12, "Q3_K"},  {"Q3_K_S", 11, "Q3_K"},
    {"IQ3_M", 27, "IQ3_S"},    {"IQ3_S", 26, "IQ3_S"},     {"IQ3_XS", 22, "IQ3_S"}, {"IQ3_XXS", 23, "IQ3_XXS"},
    {"Q2_K", 10, "Q2_K"},      {"Q2_K_S", 21, "Q2_K"},     {"IQ2_M", 29, "IQ2_S"},  {"IQ2_S", 28, "IQ2_XS"},
    {"IQ2_XS", 20, "IQ2_XS"},  {"IQ2_XXS", 19, "IQ2_XXS"}, {"IQ1_M", 31, "IQ1_M"},  {"IQ1_S", 24, "IQ1_S"},
    {"TQ2_0", 37, "TQ2_0"},    {"TQ1_0", 36, "TQ1_0"},
};
constexpr std::pair<std::string_view, std::string_view> kAliases[] = {
    {"Q5_K", "Q5_K_M"}, {"Q4_K", "Q4_K_M"}, {"Q3_K", "Q3_K_M"}};
constexpr uint32_t kFileTypeNotNamed = 1024;  // ggml's number for "see the tensors"

enum class Role {
  kOutput,
  kEmbedding,
  kQuery,
  kKey,
  kValue,
  kFusedQkv,
  kAttentionOut,
  kGate,
  kUp,
  kDown,
  kExperts,
  kOther
};

// In which layers a rule holds, counted from 0 of L.
enum class Where {
  kAll,
  kFirst2,
  kFirst4,
  kFirst8th,
  kFirst16th,
  kMiddle,  // neither in the first nor in the last eighth
  kSpread,  // in the first and the last eighth, and every third between
};

// For which models.
enum class When { kAlways, kShared4, kShared4OrExperts4, kExperts8, kLayers80, kFalcon };

struct Rule {
  std::string_view recipes;  // separated by spaces; empty: all that are quantised in blocks
  Role role;
  Where where;
  When when;
  const char* format;  // null: the recipe's own
};

constexpr std::string_view kLowest = "IQ2_XXS IQ2_XS IQ2_S IQ2_M IQ1_S IQ1_M";

// The first rule that fits decides.
constexpr Rule kRules[] = {
    // Of the one architecture for which llama.cpp measured other mixes.
    {"", Role::kOutput, Where::kAll, When::kFalcon, "Q8_0"},
    {"Q3_K_M", Role::kDown, Where::kFirst16th, When::kFalcon, "Q5_K"},
    {"Q3_K_M", Role::kDown, Where::kSpread, When::kFalcon, "Q4_K"},
    {"Q4_K_M", Role::kDown, Where::kFirst16th, When::kFalcon, "Q6_K"},
    {"Q4_K_M", Role::kDown, Where::kSpread, When::kFalcon, "Q5_K"},
    {"Q3_K_L", Role::kDown, Where::kAll, When::kFalcon, "Q4_K"},
    {"Q3_K_M Q4_K_M Q4_K_S", Role::kDown, Where::kAll, When::kFalcon, nullptr},
    {"Q3_K_L", Role::kAttentionOut, Where::kAll, When::kFalcon, "Q4_K"},
    {"", Role::kAttentionOut, Where::kAll, When::kFalcon, nullptr},

    {"Q8_0 MXFP4_MOE", Role::kOutput, Where::kAll, When::kAlways, "Q8_0"},
    {"IQ2_XXS IQ2_XS IQ2_S IQ2_M IQ1_S IQ1_M IQ3_XXS", Role::kOutput, Where::kAll, When::kAlways, "Q5_K"},
    {"", Role::kOutput, Where::kAll, When::kAlways, "Q6_K"},

    {"IQ2_XXS IQ2_XS IQ1_S IQ1_M", Role::kEmbedding, Where::kAll, When::kAlways, "Q2_K"},
    {"IQ2_S IQ2_M IQ3_XXS", Role::kEmbedding, Where::kAll, When::kAlways, "IQ3_S"},
    {"TQ1_0 TQ2_0", Role::kEmbedding, Where::kAll, When::kAlways, "Q4_K"},

    {"MXFP4_MOE", Role::kExperts, Where::kAll, When::kAlways, "MXFP4"},

    // Under 3 bits: everything that is small and matters gets more.
    {kLowest, Role::kValue, Where::kAll, When::kShared4OrExperts4, "Q4_K"},
    {"IQ2_S IQ2_M", Role::kValue, Where::kAll, When::kAlways, "IQ3_S"},
    {kLowest, Role::kValue, Where::kAll, When::kAlways, "Q2_K"},
    {kLowest, Role::kKey, Where::kAll, When::kExperts8, "Q4_K"},
    {"IQ2_S IQ2_M", Role::kDown, Where::kFirst8th, When::kAlways, "IQ3_S"},
    {kLowest, Role::kDown, Where::kFirst8th, When::kAlways, "Q2_K"},
    {kLowest, Role::kAttentionOut, Where::kAll, When::kExperts8, "Q5_K"},
    {"IQ2_S IQ2_M", Role::kAttentionOut, Where::kAll, When::kAlways, "IQ3_S"},
    {"IQ1_S IQ1_M", Role::kAttentionOut, Where::kAll, When::kAlways, "IQ2_XXS"},

    // With eight experts, attention is a small part of the model.
    {"", Role::kValue, Where::kAll, When::kExperts8, "Q8_0"},
    {"", Role::kKey, Where::kAll, When::kExperts8, "Q8_0"},
    {"Q2_K IQ3_XS IQ3_XXS IQ3_S IQ3_M Q3_K_S Q3_K_M IQ4_NL IQ4_XS Q4_K_S Q4_K_M", Role::kAttentionOut, Where::kAll,
     When::kExperts8, "Q5_K"},
    {"Q3_K_L", Role::kAttentionOut, Where::kAll, When::kExperts8, "Q3_K"},

    // In a model of 70 B values are small beside the queries that share them.
    {"Q2_K Q2_K_S Q3_K_S Q3_K_M Q4_K_S IQ3_XXS IQ3_XS IQ3_S IQ3_M", Role::kValue, Where::kAll, When::kLayers80, "Q5_K"},

    {"Q2_K", Role::kValue, Where::kAll, When::kShared4, "Q4_K"},
    {"Q2_K", Role::kValue, Where::kAll, When::kAlways, "Q3_K"},
    {"Q2_K_S IQ3_XXS IQ3_XS IQ3_S", Role::kValue, Where::kAll, When::kShared4, "Q4_K"},
    {"IQ3_XXS", Role::kValue, Where::kAll, When::kAlways, "IQ3_S"},
    {"IQ3_M", Role::kValue, Where::kAll, When::kAlways, "Q4_K"},
    {"Q3_K_M", Role::kValue, Where::kFirst2, When::kAlways, "Q5_K"},
    {"Q3_K_M", Role::kValue, Where::kAll, When::kAlways, "Q4_K"},
    {"Q3_K_L", Role::kValue, Where::kAll, When::kAlways, "Q5_K"},
    {"IQ4_NL IQ4_XS", Role::kValue, Where::kAll, When::kShared4, "Q5_K"},
    {"Q4_K_S", Role::kValue, Where::kFirst4, When::kAlways, "Q5_K"},
    {"Q4_K_M Q5_K_M", Role::kValue, Where::kSpread, When::kAlways, "Q6_K"},
    {"Q4_K_M", Role::kValue, Where::kAll, When::kLayers80, "Q5_K"},

    {"IQ3_XXS", Role::kKey, Where::kAll, When::kAlways, "IQ2_S"},
    {"IQ3_XXS", Role::kQuery, Where::kAll, When::kAlways, "IQ2_S"},
    {"IQ3_XS", Role::kKey, Where::kAll, When::kAlways, "IQ3_XXS"},
    {"IQ3_XS", Role::kQuery, Where::kAll, When::kAlways, "IQ3_XXS"},

    {"Q2_K", Role::kDown, Where::kAll, When::kAlways, "Q3_K"},
    {"Q2_K_S IQ3_XXS IQ3_M", Role::kDown, Where::kFirst8th, When::kAlways, "Q4_K"},
    {"IQ3_M", Role::kDown, Where::kSpread, When::kExperts8, "Q4_K"},
    {"IQ3_XXS", Role::kDown, Where::kAll, When::kAlways, "Q3_K"},
    {"Q3_K_M", Role::kDown, Where::kFirst16th, When::kAlways, "Q5_K"},
    {"Q3_K_M", Role::kDown, Where::kAll, When::kAlways, "Q4_K"},
    {"Q3_K_L", Role::kDown, Where::kAll, When::kAlways, "Q5_K"},
    {"IQ4_NL IQ4_XS Q4_K_S", Role::kDown, Where::kFirst8th, When::kAlways, "Q5_K"},
    {"Q4_K_M Q5_K_M", Role::kDown, Where::kSpread, When::kAlways, "Q6_K"},

    {"Q2_K", Role::kAttentionOut, Where::kAll, When::kAlways, "Q3_K"},
    {"IQ3_XXS", Role::kAttentionOut, Where::kAll, When::kAlways, "IQ3_S"},
    {"IQ3_M Q3_K_M", Role::kAttentionOut, Where::kAll, When::kAlways, "Q4_K"},
    {"Q3_K_L", Role::kAttentionOut, Where::kAll, When::kAlways, "Q5_K"},

    {"IQ3_M Q3_K_M Q3_K_L", Role::kFusedQkv, Where::kAll, When::kAlways, "Q4_K"},
    {"Q4_K_M", Role::kFusedQkv, Where::kAll, When::kAlways, "Q5_K"},
    {"Q5_K_M", Role::kFusedQkv, Where::kAll, When::kAlways, "Q6_K"},

    {"IQ3_XS", Role::kGate, Where::kMiddle, When::kAlways, "IQ3_XXS"},
    {"IQ3_XS", Role::kUp, Where::kMiddle, When::kAlways, "IQ3_XXS"},
};

// What stands in where rows are not whole blocks of 256.
struct StandIn {
  const char *wanted, *format;
};
constexpr StandIn kStandIns[] = {
    {"TQ1_0", "Q4_0"},    {"TQ2_0", "Q4_0"},    {"IQ1_S", "IQ4_NL"},   {"IQ1_M", "IQ4_NL"}, {"IQ2_XXS", "IQ4_NL"},
    {"IQ2_XS", "IQ4_NL"}, {"IQ2_S", "IQ4_NL"},  {"IQ3_XXS", "IQ4_NL"}, {"IQ3_S", "IQ4_NL"}, {"Q2_K", "IQ4_NL"},
    {"Q3_K", "IQ4_NL"},   {"IQ4_XS", "IQ4_NL"}, {"Q4_K", "Q5_0"},      {"Q5_K", "Q5_1"},    {"Q6_K", "Q8_0"},
};

// Weights that are small, or that computation needs unrounded: parts of names.
constexpr std::string_view kUntouched[] = {"_norm.weight",
                                           "ffn_gate_inp",
                                           "position_embd.weight",
                                           "token_types.weight",
                                           "rope_freqs",
                                           "ssm_conv1d.weight",
                                           "shortconv.conv.weight",
                                           "altup",
                                           "laurel",
                                           "per_layer_model_proj",
                                           "time_mix_first.weight",
                                           "time_mix_w1.weight",
                                           "time_mix_w2.weight",
                                           "time_mix_decay_w",
                                           "time_mix_lerp_fused",
                                           "attn_rel_b.weight"};

bool lists(std::string_view words, std::string_view word) {
  while (!words.empty()) {
    const size_t space = std::min(words.find(' '), words.size());
    if (words.substr(0, space) == word) return true;
    words.remove_prefix(std::min(space + 1, words.size()));
  }
  return false;
}

const quant::Format* format_named(const char* name) {
  const quant::Format* format = quant::find_name(name);
  CHECK(format != nullptr);
  return format;
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

Role role_of(std::string_view name, const ModelProperties& properties) {
  if (name == "output.weight") return Role::kOutput;
  if (name == "per_layer_token_embd.weight") return Role::kEmbedding;
  if (name == "token_embd.weight") return properties.has_output ? Role::kEmbedding : Role::kOutput;
  if (contains(name, "attn_v.weight")) return Role::kValue;
  if (contains(name, "attn_k.weight")) return Role::kKey;
  if (contains(name, "attn_q.weight")) return Role::kQuery;
  if (contains(name, "attn_output.weight")) return Role::kAttentionOut;
  if (contains(name, "attn_qkv.weight")) return Role::kFusedQkv;
  if (contains(name, "ffn_down")) return Role::kDown;
  if (contains(name, "ffn_gate")) return Role::kGate;
  if (contains(name, "ffn_up")) return Role::kUp;
  return Role::kOther;
}

// N of "blk.N."; 0 for tensors outside the layers.
uint64_t layer_of(std::string_view name) {
  uint64_t layer = 0;
  if (!name.starts_with("blk.")) return 0;
  for (const char c : name.substr(4)) {
    if (c < '0' || c > '9' || layer > UINT32_MAX) break;
    layer = layer * 10 + static_cast<uint64_t>(c - '0');
  }
  return layer;
}

bool holds(Where where, uint64_t layer, uint64_t layers) {
  const uint64_t eighth = layers / 8, last = 7 * layers / 8;
  switch (where) {
    case Where::kAll:
      return true;
    case Where::kFirst2:
      return layer < 2;
    case Where::kFirst4:
      return layer < 4;
    case Where::kFirst8th:
      return layer < eighth;
    case Where::kFirst16th:
      return layer < layers / 16;
    case Where::kMiddle:
      return layer >= eighth && layer < last;
    case Where::kSpread:
      return layer < eighth || layer >= last || (layer - eighth) % 3 == 2;
  }
  return false;
}

bool holds(When when, const ModelProperties& properties) {
  switch (when) {
    case When::kAlways:
      return true;
    case When::kShared4:
      return properties.queries_per_value >= 4;
    case When::kShared4OrExperts4:
      return properties.queries_per_value >= 4 || properties.experts >= 4;
    case When::kExperts8:
      return properties.experts == 8;
    case When::kLayers80:
      return properties.layers == 80 && properties.queries_per_value > 1;
    case When::kFalcon:
      return properties.is_falcon;
  }
  return false;
}

const quant::Format* by_rules(const QuantizationRecipe& recipe, const ModelProperties& properties,
                              const Tensor& tensor) {
  if (recipe.base->block_values == 1) return recipe.base;  // F32, F16, BF16: nothing to be saved
  const Role role = role_of(tensor.name, properties);
  const bool experts = contains(tensor.name, "_exps");
  const uint64_t layer = layer_of(tensor.name);
  for (const Rule& rule : kRules) {
    const bool role_fits = rule.role == role || (rule.role == Role::kExperts && experts);
    if (role_fits && (rule.recipes.empty() || lists(rule.recipes, recipe.name)) &&
        holds(rule.where, layer, properties.layers) && holds(rule.when, properties)) {
      return rule.format == nullptr ? recipe.base : format_named(rule.format);
    }
  }
  return recipe.base;
}

}  // namespace

std::vector<std::string> recipe_names() {
  std::vector<std::string> names;
  for (const NamedRecipe& recipe : kRecipes) names.push_back(recipe.name);
  return names;
}

std::string_view recipe_of_file_type(uint64_t file_type) {
  for (const NamedRecipe& recipe : kRecipes) {
    if (recipe.file_type == file_type) return recipe.name;
  }
  return {};
}

Result<QuantizationRecipe> find_recipe(std::string_view name) {
  for (const auto& [alias, meaning] : kAliases) {
    if (same_ignoring_case(alias, name)) name = meaning;
  }
  for (const NamedRecipe& recipe : kRecipes) {
    if (same_ignoring_case(recipe.name, name))
      return QuantizationRecipe{recipe.name, recipe.file_type, format_named(recipe.base)};
  }
  if (const quant::Format* format = quant::find_name(name); format != nullptr && format->encode != nullptr) {
    return QuantizationRecipe{format->name, kFileTypeNotNamed, format};
  }
  return error(ErrorKind::kUsage, "unknown type '{}'; the types are {}", name, fmt::join(recipe_names(), ", "));
}

ModelProperties read_properties(const File& file) {
  const std::string prefix(file.string_or("general.architecture", ""));
  // A number, or the largest of one number per layer.
  const auto largest = [&](const char* key) {
    const Value* value = file.find(prefix + key);
    if (value == nullptr) return uint64_t{0};
    if (!value->is_array() || value->element_type() == Type::kString) return value->as_u64().value_or(0);
    int64_t most = 0;
    for (size_t i = 0; i < value->size(); ++i) most = std::max(most, value->at_i64(i));
    return static_cast<uint64_t>(most);
  };
  ModelProperties properties;
  properties.is_falcon = prefix == "falcon";
  properties.layers = largest(".block_count");
  properties.experts = largest(".expert_count");
  const uint64_t heads = largest(".attention.head_count"), values = largest(".attention.head_count_kv");
  properties.queries_per_value = values == 0 ? 1 : heads / values;
  properties.has_output = file.tensor("output.weight") != nullptr;
  return properties;
}

bool is_quantised(const Tensor& tensor) {
  const uint64_t rows = tensor.shape[1] * tensor.shape[2] * tensor.shape[3];
  if (rows == 1 || !tensor.name.ends_with("weight")) return false;
  return std::none_of(std::begin(kUntouched), std::end(kUntouched),
                      [&](std::string_view part) { return contains(tensor.name, part); });
}

bool keeps_format(const QuantizationRecipe& recipe, const Tensor& tensor) {
  return recipe.base->block_values > 1 && tensor.format != nullptr && tensor.format == quant::find_name("MXFP4");
}

Choice choose_format(const QuantizationRecipe& recipe, const ModelProperties& properties, const Tensor& tensor) {
  if (keeps_format(recipe, tensor)) return {tensor.format};
  const quant::Format* wanted = by_rules(recipe, properties, tensor);
  const auto fits = [&](const quant::Format* format) { return tensor.shape[0] % format->block_values == 0; };
  if (fits(wanted)) return {wanted};
  const quant::Format* eight_bits = format_named("Q8_0");
  if (role_of(tensor.name, properties) == Role::kOutput && fits(eight_bits)) return {eight_bits, wanted};
  for (const StandIn& stand_in : kStandIns) {
    if (wanted->name != std::string_view(stand_in.wanted)) continue;
    const quant::Format* format = format_named(stand_in.format);
    if (fits(format)) return {format, wanted};
  }
  return {format_named("F16"), wanted};
}

}  // namespace hearth::gguf
