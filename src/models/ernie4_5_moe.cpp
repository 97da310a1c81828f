// ERNIE 4.5 with experts: as Llama, the choice of experts biased, one more that every token uses. Baidu 2025,
// "ERNIE 4.5".
#include "models/rope.h"

namespace hearth::models {

namespace {

Result<Spec> read(const Metadata& keys, const ReadOptions& options) {
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys, {"expert_shared_count", "expert_gating_func"}));
  TRY(read_rms_norm(keys, &spec));
  TRY(read_routing(keys, true, &spec));
  TRY(add_rope(keys, options, device::Rope::Pairs::kAdjacent, &spec));
  return spec;
}

const Architecture kArchitecture{"ernie4_5-moe", read};
const RegisterArchitecture registered(&kArchitecture);

}  // namespace

}  // namespace hearth::models
