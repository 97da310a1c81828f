// What the generations of Gemma share.
#pragma once

#include "models/metadata.h"

namespace hearth::models {

// Sizes, norms around every part, scaled embeddings, GELU gates, and the attention scale, which is
// 1/sqrt(width/heads) in the largest model of a generation (told by its number of layers).
Result<Spec> read_gemma(const Metadata& keys, uint32_t layers_of_largest,
                        std::initializer_list<std::string_view> understood = {});

// attention.shared_kv_layers, or `usual`: so many layers at the end read the cache of the last layer of their kind
// (windowed or not) that has one. Their keys and values, which some files have, are left alone.
Status share_caches(const Metadata& keys, uint32_t usual, Spec* spec);

}  // namespace hearth::models
