// StableLM: as Llama, with layer norms and a rope on a part of each head. In models without a second norm attention and
// feed-forward stand side by side, whatever use_parallel_residual says (writers say so where it was not asked for).
// Bellagente et al. 2024, "Stable LM 2 1.6B".
#include "models/rope.h"

namespace hearth::models {

namespace {

Result<Spec> read(const Metadata& keys, const ReadOptions& options) {
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys, {"use_parallel_residual"}));
  TRY(read_layer_norm(keys, &spec));
  spec.side_by_side = keys.file().tensor("blk.0.ffn_norm.weight") == nullptr;
  TRY(add_rope(keys, options, device::Rope::Pairs::kHalves, &spec));
  return spec;
}

const Architecture kArchitecture{"stablelm", read};
const RegisterArchitecture registered(&kArchitecture);

}  // namespace

}  // namespace hearth::models
