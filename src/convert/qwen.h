// What the Qwens share.
#pragma once

#include "convert/decoder.h"

namespace hearth::convert {

// Layers without experts, which no published model has, are kUnsupported.
Status require_experts_everywhere(const Json& config);

// Experts, and one that every token uses to a share of its own.
struct GatedShare {
  uint32_t inner = 0, shared_inner = 0;
};
Result<GatedShare> read_gated_share(const Json& config, uint32_t inner, uint32_t shared_inner, Plan& plan);
Status add_experts_and_share(const Decoder& decoder, const GatedShare& sizes, uint32_t index, Plan& plan);

// Sections of the rope for time, rows and columns, of models that also see; nothing where the configuration has none.
Status add_rope_sections(const Json& config, Plan& plan);

// The part for text of a Qwen 3 VL: `describe` gets its configuration, and whether it is tied, which stands outside.
Status describe_seeing_part(const Json& config, Plan& plan,
                            Status (*describe)(const Json& text, bool tied, Plan& plan));

}  // namespace hearth::convert
