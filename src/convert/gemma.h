// What Gemma 2 and 3 share.
#pragma once

#include "convert/decoder.h"

namespace hearth::convert {

// Scores are scaled by query_pre_attn_scalar; written where it is not the size of a head. Soft caps: 0 or absent is
// none.
Status add_gemma_keys(const Json& config, const Decoder& decoder, double attention_cap, double logit_cap, Plan& plan);

// Of layers that see everything, and of those with a window. Newer files have one object for each kind of layer:
// rope_parameters.full_attention.
struct GemmaRopes {
  double global = 1e6, local = 1e4, global_factor = 1;
  double global_part = 1;  // of a head's numbers that rotate
};
Result<GemmaRopes> read_gemma_ropes(const Json& config);

// One flag for each layer: whether it has a window. `period`: of those without, where the configuration does not list
// them.
Result<std::vector<bool>> add_window_flags(const Json& config, uint32_t layers, uint32_t period, Plan& plan);

// Of every layer's own inputs: `width` numbers for each token, and what brings them into the layers.
Status add_layer_table(const Decoder& decoder, uint32_t width, uint32_t rows, Plan& plan);
Status add_layer_input(const Decoder& decoder, uint32_t width, uint32_t index, Plan& plan);

}  // namespace hearth::convert
