// Qwen 3 Next and Qwen 3.5: three gated delta nets, then attention with a gate on its result; dense or with experts.
// Qwen Team 2025, "Qwen3-Next".
#include "models/recurrent.h"
#include "models/rope.h"

namespace hearth::models {

namespace {

// Value heads of one key head are neighbours in Qwen 3 Next, and as far apart as there are key heads in Qwen 3.5.
Result<Spec> read_with(const Metadata& keys, const ReadOptions& options, bool interleaved) {
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys, {"attention.head_count_kv", "feed_forward_length", "expert_shared_count",
                                                "expert_gating_func", "nextn_predict_layers"}));
  TRY(read_rms_norm(keys, &spec));
  TRY(read_scan_sizes(keys, &spec));
  TRY(read_routing(keys, true, &spec));
  TRY(leave_out_predictors(keys, &spec));
  spec.recurrent.interleaved = interleaved;
  spec.qk_norm = QkNorm::kPerHead;
  spec.attention_gate = true;
  ASSIGN_OR_RETURN(const uint32_t interval, keys.count_or("full_attention_interval", 4, 1, kMost_layers));
  for (uint32_t i = 0; i < spec.layers; ++i)
    if ((i + 1) % interval != 0) spec.per_layer[i].mixer = Mixer::kDeltaNet;
  TRY(add_rope(keys, options, device::Rope::Pairs::kHalves, &spec));
  return spec;
}

Result<Spec> read(const Metadata& keys, const ReadOptions& options) {
  return read_with(keys, options, false);
}
Result<Spec> read_35(const Metadata& keys, const ReadOptions& options) {
  ASSIGN_OR_RETURN(Spec spec, read_with(keys, options, true));
  spec.other_tensors.insert(spec.other_tensors.end(), {"v.", "mm."});  // the encoder of files that have both
  TRY(add_axes(keys, true, &spec.ropes[0]));
  return spec;
}

const Architecture kNext{"qwen3next", read};
const Architecture k35{"qwen35", read_35};
const Architecture k35_with_experts{"qwen35moe", read_35};
const RegisterArchitecture registered_next(&kNext);
const RegisterArchitecture registered_35(&k35);
const RegisterArchitecture registered_35_with_experts(&k35_with_experts);

}  // namespace

}  // namespace hearth::models
