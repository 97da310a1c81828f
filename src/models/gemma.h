// What Gemma 2 and 3 share.
#pragma once

#include "models/metadata.h"

namespace hearth::models {

// Sizes, norms around every part, scaled embeddings, GELU gates, and the attention scale, which is
// 1/sqrt(width/heads) in the largest model of a generation (told by its number of layers).
Result<Spec> read_gemma(const Metadata& keys, uint32_t layers_of_largest,
                        std::initializer_list<std::string_view> understood = {});

}  // namespace hearth::models
