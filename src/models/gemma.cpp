#include "models/gemma.h"

#include <cmath>

namespace hearth::models {

Result<Spec> read_gemma(const Metadata& keys, uint32_t layers_of_largest,
                        std::initializer_list<std::string_view> understood) {
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys, understood));
  ASSIGN_OR_RETURN(spec.norm_epsilon,
                   keys.number_or("attention.layer_norm_rms_epsilon", 1e-6f, 0, 1));  // Ollama's lack it
  spec.post_norms = true;
  spec.activation = device::Activation::kGeluTanh;
  spec.embedding_scale = std::sqrt(static_cast<float>(spec.width));
  if (spec.layers == layers_of_largest && !keys.has("attention.scale"))
    spec.attention_scale = 1 / std::sqrt(static_cast<float>(spec.width / spec.heads));
  return spec;
}

Status share_caches(const Metadata& keys, uint32_t usual, Spec* spec) {
  // Some writers give it as a float.
  ASSIGN_OR_RETURN(const float number, keys.number_or("attention.shared_kv_layers", static_cast<float>(usual), 0,
                                                      static_cast<double>(spec->layers - 1)));
  const auto shared = static_cast<uint32_t>(number);
  if (static_cast<float>(shared) != number)
    return keys.invalid("attention.shared_kv_layers", "is not a whole number of at least 0");
  const uint32_t own = spec->layers - shared;
  for (uint32_t i = own; i < spec->layers; ++i) {
    LayerSpec& layer = spec->per_layer[i];
    for (uint32_t before = own; before-- > 0 && layer.cache == kOwn_cache;)
      if ((spec->per_layer[before].window != 0) == (layer.window != 0)) layer.cache = before;
    if (layer.cache == kOwn_cache)
      return keys.invalid("attention.shared_kv_layers",
                          fmt::format("is {}, but no layer before is of the kind of layer {}", shared, i));
    for (const char* part : {"attn_k.", "attn_v.", "attn_k_norm."})
      spec->other_tensors.push_back(fmt::format("blk.{}.{}", i, part));
  }
  return {};
}

}  // namespace hearth::models
