// Hunyuan, dense and with experts: as Llama, with norms on the heads of q and k behind the rope; beside the experts one
// that every token uses, as wide as the dense feed-forward. Tencent 2025, "Hunyuan 0.5B to 7B"; "Hunyuan-A13B Technical
// Report".
#include "models/rope.h"

namespace hearth::models {

namespace {

Result<Spec> read(const Metadata& keys, const ReadOptions& options) {
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys, {"expert_shared_count"}));
  TRY(read_rms_norm(keys, &spec));
  TRY(read_routing(keys, true, &spec));
  spec.qk_norm = QkNorm::kPerHeadAfterRotation;
  TRY(add_rope(keys, options, device::Rope::Pairs::kHalves, &spec));
  return spec;
}

// Files without the width of the shared expert mean the dense one's, whatever the count of shared experts.
Result<Spec> read_with_experts(const Metadata& keys, const ReadOptions& options) {
  ASSIGN_OR_RETURN(Spec spec, read(keys, options));
  ASSIGN_OR_RETURN(const uint32_t shared, keys.count_or("expert_shared_feed_forward_length", 0, 0, kMost_width));
  spec.shared_feed_forward = shared != 0 ? shared : spec.feed_forward;
  return spec;
}

const Architecture kDense{"hunyuan-dense", read};
const Architecture kWithExperts{"hunyuan-moe", read_with_experts};
const RegisterArchitecture registered_dense(&kDense);
const RegisterArchitecture registered_with_experts(&kWithExperts);

}  // namespace

}  // namespace hearth::models
