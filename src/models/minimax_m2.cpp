// MiniMax M2: sigmoid routing with a bias on the choice, q and k normalised over all heads at once, a part of each head
// rotates. MiniMax 2025, "MiniMax-M2".
#include "models/rope.h"

namespace hearth::models {

namespace {

Result<Spec> read(const Metadata& keys, const ReadOptions& options) {
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys, {"expert_gating_func"}));
  TRY(read_rms_norm(keys, &spec));
  spec.expert_gating = device::Gating::kSigmoid;
  TRY(read_routing(keys, true, &spec));
  spec.qk_norm = QkNorm::kWhole;
  TRY(add_rope(keys, options, device::Rope::Pairs::kHalves, &spec));
  return spec;
}

const Architecture kArchitecture{"minimax-m2", read};
const RegisterArchitecture registered(&kArchitecture);

}  // namespace

}  // namespace hearth::models
