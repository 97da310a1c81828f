// Command R7B and Command A: attention and feed-forward side by side; every fourth layer sees everything and has no
// rope, the others have a window. Cohere 2025, "Command A: An Enterprise-Ready Large Language Model".
#include "models/rope.h"

namespace hearth::models {

namespace {

Result<Spec> read(const Metadata& keys, const ReadOptions& options) {
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys, {"logit_scale"}));
  TRY(read_layer_norm(keys, &spec));
  spec.side_by_side = true;
  ASSIGN_OR_RETURN(spec.logit_scale, keys.number("logit_scale", 1e-9, 1e9));
  TRY(add_rope(keys, options, device::Rope::Pairs::kAdjacent, &spec));
  ASSIGN_OR_RETURN(const uint32_t window, keys.count("attention.sliding_window", 1, kMost_context));
  open_every_fourth(window, &spec);
  return spec;
}

const Architecture kArchitecture{"cohere2", read};
const RegisterArchitecture registered(&kArchitecture);

}  // namespace

}  // namespace hearth::models
