// Nemotron-H and Nemotron 3: blocks that are a state-space layer, attention without a rope, or a feed-forward with
// squared ReLU; some have experts that read and write a narrower vector. NVIDIA 2025, "Nemotron-H" and "Nemotron 3".
#include "models/recurrent.h"

namespace hearth::models {

namespace {

Result<Spec> read(const Metadata& keys, const ReadOptions&) {
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys, {"attention.head_count", "attention.head_count_kv",
                                                "feed_forward_length", "expert_shared_count", "expert_gating_func",
                                                "expert_group_used_count", "moe_latent_size", "nextn_predict_layers"}));
  TRY(read_rms_norm(keys, &spec));
  TRY(read_scan_sizes(keys, &spec));
  spec.expert_gating = device::Gating::kSigmoid;
  TRY(read_routing(keys, false, &spec));
  TRY(leave_out_predictors(keys, &spec));
  if (spec.experts != 0) {
    ASSIGN_OR_RETURN(spec.expert_width, keys.count_or("moe_latent_size", 0, 0, kMost_width));
  }
  spec.activation = device::Activation::kReluSquared;
  spec.gated = false;
  for (uint32_t i = 0; i < spec.layers; ++i) {
    LayerSpec& layer = spec.per_layer[i];
    layer.rope = kNo_rope;
    layer.feed_forward = keys.of_layer("feed_forward_length", i, 0) != 0;
    const bool attends = keys.of_layer("attention.head_count_kv", i, 0) != 0;
    layer.mixer = layer.feed_forward ? Mixer::kNone : attends ? Mixer::kAttention : Mixer::kStateSpace;
  }
  return spec;
}

const Architecture kArchitecture{"nemotron_h", read};
const Architecture kWithExperts{"nemotron_h_moe", read};
const RegisterArchitecture registered(&kArchitecture);
const RegisterArchitecture registered_with_experts(&kWithExperts);

}  // namespace

}  // namespace hearth::models
