#include "vision/ollama.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace hearth::vision {
namespace {

using Parts = std::vector<std::pair<std::string_view, std::string_view>>;  // of names: theirs, the usual ones

// Numbers that their files leave out; of the models' own configurations.
struct Defaults {
  uint32_t image_size;
  float epsilon;
  std::array<float, 3> mean, deviation;
};
constexpr std::array<float, 3> kHalves{0.5f, 0.5f, 0.5f}, kZeros{}, kOnes{1, 1, 1};
constexpr std::array<float, 3> kClip_mean{0.48145466f, 0.4578275f, 0.40821073f},
    kClip_deviation{0.26862954f, 0.26130258f, 0.27577711f};
constexpr uint8_t kTrue = 1;

struct Kind {
  std::vector<std::string_view> architectures;
  std::string_view projector, activation;
  Defaults defaults;
  Parts tensors;
};

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all{
      {{"gemma3"},
       "gemma3",
       "use_gelu",
       {896, 1e-6f, kHalves, kHalves},
       {{"v.patch_embedding", "v.patch_embd"},
        {"v.position_embedding", "v.position_embd"},
        {"v.post_layernorm", "v.post_ln"},
        {".layer_norm1", ".ln1"},
        {".layer_norm2", ".ln2"},
        {".attn_output", ".attn_out"},
        {".mlp.fc1", ".ffn_up"},
        {".mlp.fc2", ".ffn_down"},
        {"mm.mm_input_projection", "mm.input_projection"},
        {"mm.mm_soft_emb_norm", "mm.soft_emb_norm"}}},
      {{"gemma4"}, "gemma4v", "use_gelu", {224, 1e-6f, kZeros, kOnes}, {}},
      {{"mistral3"},
       "pixtral",
       "use_silu",
       {1540, 1e-5f, kClip_mean, kClip_deviation},
       {{"v.patch_conv", "v.patch_embd"},
        {"v.encoder_norm", "v.pre_ln"},
        {".attn_output", ".attn_out"},
        {".attn_norm", ".ln1"},
        {".ffn_norm", ".ln2"},
        {"mm.linear_1", "mm.1"},
        {"mm.linear_2", "mm.2"},
        {"mm.patch_merger.merging_layer", "mm.patch_merger"},
        {"mm.norm", "mm.input_norm"}}},
      {{"qwen25vl"},
       "qwen2.5vl_merger",
       "use_silu",
       {560, 1e-6f, kClip_mean, kClip_deviation},
       {{"v.patch_embd_0.weight", "v.patch_embd.weight"},
        {"v.patch_embd_1.weight", "v.patch_embd.weight.1"},
        {"v.merger.ln_q", "v.post_ln"},
        {"v.merger.mlp.", "mm."}}},
      {{"qwen3vl", "qwen3vlmoe", "qwen35", "qwen35moe"},
       "qwen3vl_merger",
       "use_gelu",
       {768, 1e-6f, kHalves, kHalves},
       {{"v.pos_embed", "v.position_embd"},
        {"v.patch_embed", "v.patch_embd"},
        {"v.merger.norm", "v.post_ln"},
        {"v.merger.linear_fc1", "mm.0"},
        {"v.merger.linear_fc2", "mm.2"},
        {".mlp.linear_fc1", ".ffn_up"},
        {".mlp.linear_fc2", ".ffn_down"},
        {".linear_fc1", ".fc1"},
        {".linear_fc2", ".fc2"},
        {".norm1", ".ln1"},
        {".norm2", ".ln2"}}},
  };
  return all;
}

std::string architecture_of(const gguf::File& file) {
  return std::string(file.string_or("general.architecture", ""));
}

const Kind* kind_of(const gguf::File& file) {
  const std::string architecture = architecture_of(file);
  for (const Kind& kind : kinds())
    if (std::ranges::find(kind.architectures, architecture) != kind.architectures.end()) return &kind;
  return nullptr;
}

template <class Number>
gguf::Value value(gguf::Type type, const Number& number) {
  return gguf::Value::number(type, std::as_bytes(std::span(&number, 1)));
}

// The keys of an encoder, as clip.* has them.
std::vector<std::pair<std::string, gguf::Value>> usual_keys(const gguf::File& file, const Kind& kind) {
  const std::string architecture = architecture_of(file), prefix = architecture + ".vision.";
  std::vector<std::pair<std::string, gguf::Value>> keys;
  const auto add = [&](const std::string& key, const gguf::Value& of) { keys.emplace_back(key, of); };
  add("clip.projector_type", gguf::Value::string(kind.projector));
  add(fmt::format("clip.{}", kind.activation), value(gguf::Type::kBool, kTrue));
  for (const auto& [key, of] : file.metadata()) {
    if (key == architecture + ".spatial_merge_size") add("clip.vision.spatial_merge_size", of);
    if (!key.starts_with(prefix)) continue;
    const std::string name = key.substr(prefix.size());
    if (name.starts_with("image_") && of.is_array() && of.size() != 3) continue;  // not told by the model's files
    add(name == "rope.freq_base" ? "clip.rope.freq_base" : "clip.vision." + name, of);
  }
  const auto numbers = [](const std::array<float, 3>& of) {
    return gguf::Value::numbers(gguf::Type::kF32, std::as_bytes(std::span(of)));
  };
  add("clip.vision.image_size", value(gguf::Type::kU32, kind.defaults.image_size));
  add("clip.vision.attention.layer_norm_epsilon", value(gguf::Type::kF32, kind.defaults.epsilon));
  add("clip.vision.image_mean", numbers(kind.defaults.mean));
  add("clip.vision.image_std", numbers(kind.defaults.deviation));
  return keys;
}

// They count the projectors of features one by one; the usual names have the blocks behind which they are.
std::string by_block(const gguf::File& file, const std::string& name) {
  for (const std::string_view start : {"v.deepstack_merger.", "v.deepstack."}) {
    if (!name.starts_with(start)) continue;
    size_t index = 0;
    const char* const from = name.data() + start.size();
    const auto [end, failed] = std::from_chars(from, name.data() + name.size(), index);
    const gguf::Value* blocks = file.find(architecture_of(file) + ".vision.deepstack_visual_indexes");
    if (failed != std::errc() || blocks == nullptr || !blocks->is_array() ||
        blocks->element_type() == gguf::Type::kString || index >= blocks->size())
      return name;
    return fmt::format("v.deepstack.{}{}", blocks->at_i64(index), end);
  }
  return name;
}

std::string usual_name(const gguf::File& file, const Kind& kind, const std::string& theirs) {
  if (!theirs.starts_with("v.") && !theirs.starts_with("mm.")) return theirs;
  std::string name = by_block(file, theirs);
  for (const auto& [part, usual] : kind.tensors)
    if (const size_t at = name.find(part); at != std::string::npos) name.replace(at, part.size(), usual);
  return name;
}

}  // namespace

bool is_of_ollama(const gguf::File& file) {
  const std::string architecture = architecture_of(file);
  const auto of_block = [](const gguf::Tensor& tensor) { return tensor.name.starts_with("v.blk.0."); };
  return architecture != "clip" && file.find(architecture + ".vision.block_count") != nullptr &&
         std::ranges::any_of(file.tensors(), of_block);
}

std::string projector_of_ollama(const gguf::File& file) {
  if (!is_of_ollama(file)) return "";
  const Kind* kind = kind_of(file);
  return kind == nullptr ? architecture_of(file) : std::string(kind->projector);
}

std::shared_ptr<const gguf::File> with_usual_names(const gguf::File& file) {
  const bool usual = file.find("clip.projector_type") != nullptr || !is_of_ollama(file);
  const Kind* kind = usual ? nullptr : kind_of(file);
  if (kind == nullptr) return file.renamed({}, [](const std::string& name) { return name; });
  return file.renamed(usual_keys(file, *kind), [&](const std::string& name) { return usual_name(file, *kind, name); });
}

}  // namespace hearth::vision
