// What Gemma 2 and 3 share.
#pragma once

#include "convert/decoder.h"

namespace hearth::convert {

// Scores are scaled by query_pre_attn_scalar; written where it is not the size of a head. Soft caps: 0 or absent is
// none.
Status add_gemma_keys(const Json& config, const Decoder& decoder, double attention_cap, double logit_cap, Plan& plan);

}  // namespace hearth::convert
