// Every kind of rotary position embedding, reduced to a table of inverse frequencies and a magnitude.
#pragma once

#include <array>

#include "models/metadata.h"

namespace hearth::models {

// The rope that the metadata describes: base frequency, dimensions, and the scaling
// - linear: all frequencies divided by the factor;
// - yarn: low frequencies divided by the factor, high ones kept, a ramp between them, and a magnitude
//   (Peng et al. 2023, "YaRN: Efficient Context Window Extension of Large Language Models", 3.2 to 3.4);
// - longrope: a table of divisors for short and one for long contexts (tensors rope_factors_short and
//   rope_factors_long; Ding et al. 2024), chosen by the context that will be used.
// A tensor rope_freqs (Llama 3.1) divides the frequencies of any kind. The tensors read are added to
// spec->other_tensors. `base` and `scaling` (of the kinds above) are used if the metadata has none.
Result<device::Rope> read_rope(const Metadata& keys, const ReadOptions& options, device::Rope::Pairs pairs, Spec* spec,
                               float base = 10000, std::string_view scaling = "linear");

// The same, added to spec->ropes: the only one, or the first.
Status add_rope(const Metadata& keys, const ReadOptions& options, device::Rope::Pairs pairs, Spec* spec);

// Positions with rows and columns (M-RoPE; Wang et al. 2024, "Qwen2-VL"): which pairs turn by which, as the sections in
// the metadata say, in runs, or in turns as in newer models. Without sections all turn by the first.
Status add_axes(const Metadata& keys, bool in_turns, device::Rope* rope);
// The same of these sections: pairs for time, rows and columns.
void set_axes(const std::array<int64_t, device::kPlaces>& sections, bool in_turns, device::Rope* rope);

// So many dimensions, without any scaling.
device::Rope rope_of(uint32_t dims, float base, device::Rope::Pairs pairs);

// Without any scaling, for layers that have a base of their own. `dims` as the metadata says.
Result<device::Rope> plain_rope(const Metadata& keys, float base, device::Rope::Pairs pairs, const Spec& spec);

}  // namespace hearth::models
