// GLM-4.5, 4.6 and their Air: sigmoid routing with a bias on the choice, an expert that every token uses, half of each
// head rotates. GLM Team 2025, "GLM-4.5: Agentic, Reasoning, and Coding (ARC) Foundation Models".
#include "models/rope.h"

namespace hearth::models {

namespace {

Result<Spec> read(const Metadata& keys, const ReadOptions& options) {
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys, {"expert_shared_count", "expert_gating_func", "expert_group_used_count",
                                                "nextn_predict_layers"}));
  TRY(read_rms_norm(keys, &spec));
  spec.expert_gating = device::Gating::kSigmoid;
  TRY(read_routing(keys, true, &spec));
  TRY(leave_out_predictors(keys, &spec));
  if (keys.file().tensor("blk.0.attn_q_norm.weight") != nullptr) spec.qk_norm = QkNorm::kPerHead;  // not in the Air
  TRY(add_rope(keys, options, device::Rope::Pairs::kHalves, &spec));
  return spec;
}

const Architecture kArchitecture{"glm4moe", read};
const RegisterArchitecture registered(&kArchitecture);

}  // namespace

}  // namespace hearth::models
