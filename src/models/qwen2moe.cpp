// Qwen 1.5 and 2 with experts: as Qwen 2, with one more expert that every token uses to a share of its own.
// Qwen Team 2024, "Qwen1.5-MoE".
#include "models/rope.h"

namespace hearth::models {

namespace {

Result<Spec> read(const Metadata& keys, const ReadOptions& options) {
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys, {"expert_shared_count"}));
  TRY(read_rms_norm(keys, &spec));
  TRY(read_routing(keys, false, &spec));
  TRY(add_rope(keys, options, device::Rope::Pairs::kHalves, &spec));
  return spec;
}

const Architecture kArchitecture{"qwen2moe", read};
const RegisterArchitecture registered(&kArchitecture);

}  // namespace

}  // namespace hearth::models
