// LFM 2, and the one with experts: gated short convolutions, and attention in some layers. Liquid AI 2025, "LFM2
// Technical Report".
#include "models/recurrent.h"
#include "models/rope.h"

namespace hearth::models {

namespace {

Result<Spec> read(const Metadata& keys, const ReadOptions& options) {
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys, {"attention.head_count_kv", "expert_gating_func"}));
  TRY(keys.refuse_different("attention.head_count_kv"));
  TRY(read_rms_norm(keys, &spec));
  TRY(read_routing(keys, true, &spec));
  // Files by Ollama say what the authors' configuration does, which is not the width of the matrices.
  if (const gguf::Tensor* up = keys.file().tensor("blk.0.ffn_up.weight"); up != nullptr && up->shape[1] <= kMost_width)
    spec.feed_forward = static_cast<uint32_t>(up->shape[1]);
  spec.qk_norm = QkNorm::kPerHead;
  ASSIGN_OR_RETURN(spec.recurrent.taps, keys.count("shortconv.l_cache", 1, device::kMost_taps));
  spec.recurrent.channels = spec.width;
  for (uint32_t i = 0; i < spec.layers; ++i)
    if (keys.of_layer("attention.head_count_kv", i, 1) == 0) spec.per_layer[i].mixer = Mixer::kConvolution;
  TRY(add_rope(keys, options, device::Rope::Pairs::kHalves, &spec));
  return spec;
}

const Architecture kArchitecture{"lfm2", read};
const Architecture kWithExperts{"lfm2moe", read};
const RegisterArchitecture registered(&kArchitecture);
const RegisterArchitecture registered_with_experts(&kWithExperts);

}  // namespace

}  // namespace hearth::models
