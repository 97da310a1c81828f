// Gemma 4: windowed layers with heads of other sizes than those that see everything, values that are normalised keys
// where a layer has none of its own, a dense part beside experts; in the small ones inputs of every layer's own, and
// layers at the end that read the caches of two before them, with wider feed-forwards. Google 2026, "Gemma 4".
#include "models/gemma.h"
#include "models/rope.h"

namespace hearth::models {

namespace {

enum Ropes : uint32_t { kGlobal, kLocal };

Result<device::Rope> local_rope(const Metadata& keys, uint32_t key_dim) {
  ASSIGN_OR_RETURN(const float base, keys.number_or("rope.freq_base_swa", 10000, 1.0001, 1e30));
  ASSIGN_OR_RETURN(const uint32_t dims, keys.count_or("rope.dimension_count_swa", key_dim, 2, key_dim));
  if (dims % 2 != 0 || dims > key_dim)
    return keys.invalid("rope.dimension_count_swa",
                        fmt::format("is {}; expected an even number up to {}", dims, key_dim));
  return rope_of(dims, base, device::Rope::Pairs::kHalves);
}

// Windows, and the heads of each layer. Returns the size of the windowed layers' keys.
Result<uint32_t> read_layers(const Metadata& keys, Spec* spec) {
  ASSIGN_OR_RETURN(const uint32_t window, keys.count("attention.sliding_window", 1, kMost_context));
  ASSIGN_OR_RETURN(const uint32_t key_dim, keys.count_or("attention.key_length_swa", spec->key_dim, 1, spec->key_dim));
  ASSIGN_OR_RETURN(const uint32_t value_dim,
                   keys.count_or("attention.value_length_swa", spec->value_dim, 1, spec->value_dim));
  if (key_dim != value_dim || spec->key_dim != spec->value_dim)
    return keys.invalid("attention.value_length", "is not the keys', of which values are made here");
  for (uint32_t i = 0; i < spec->layers; ++i) {
    LayerSpec& layer = spec->per_layer[i];
    const bool windowed = keys.of_layer("attention.sliding_window_pattern", i, (i + 1) % 6 != 0 ? 1 : 0) != 0;
    const uint64_t kv_heads = keys.of_layer("attention.head_count_kv", i, spec->kv_heads);
    if (kv_heads == 0 || kv_heads > spec->kv_heads || spec->heads % kv_heads != 0)
      return keys.invalid(
          "attention.head_count_kv",
          fmt::format("is {} in layer {}, which does not divide the {} query heads", kv_heads, i, spec->heads));
    const uint32_t dim = windowed ? key_dim : spec->key_dim;
    layer.heads = {static_cast<uint32_t>(kv_heads), dim, dim};
    if (windowed) layer.window = window, layer.rope = kLocal;
    layer.feed_forward_width = static_cast<uint32_t>(keys.of_layer("feed_forward_length", i, spec->feed_forward));
    if (layer.feed_forward_width == 0 || layer.feed_forward_width > spec->feed_forward)
      return keys.invalid("feed_forward_length", fmt::format("is {} in layer {}", layer.feed_forward_width, i));
  }
  TRY(share_caches(keys, 0, spec));
  for (uint32_t i = 0; i < spec->layers; ++i) {
    const HeadSizes own = heads_of(*spec, i), read = heads_of(*spec, cache_layer_of(*spec, i));
    if (own.kv_heads != read.kv_heads)
      return keys.invalid("attention.head_count_kv",
                          fmt::format("is {} in layer {}, which reads a cache of {}", own.kv_heads, i, read.kv_heads));
  }
  return key_dim;
}

Result<Spec> read(const Metadata& keys, const ReadOptions& options) {
  ASSIGN_OR_RETURN(Spec spec, read_gemma(keys, 0,
                                         {"attention.head_count_kv", "attention.shared_kv_layers",
                                          "feed_forward_length", "embedding_length_per_layer_input"}));
  spec.attention_scale = 1;
  spec.qk_norm = QkNorm::kPerHead;
  spec.norm_values = true;
  spec.ahead_in_windows_only = true;
  spec.dense_beside_experts = spec.expert_gate_in_up = spec.experts != 0;
  ASSIGN_OR_RETURN(spec.layer_inputs, keys.count_or("embedding_length_per_layer_input", 0, 0, kMost_head));
  ASSIGN_OR_RETURN(const uint32_t local_dim, read_layers(keys, &spec));
  spec.other_tensors.insert(spec.other_tensors.end(), {"v.", "mm.", "a."});  // images and sound, in files that have all
  TRY(add_rope(keys, options, device::Rope::Pairs::kHalves, &spec));
  ASSIGN_OR_RETURN(device::Rope local, local_rope(keys, local_dim));
  spec.ropes.push_back(std::move(local));
  return spec;
}

const Architecture kArchitecture{"gemma4", read};
const RegisterArchitecture registered(&kArchitecture);

}  // namespace

}  // namespace hearth::models
