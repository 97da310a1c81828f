// EXAONE 4: norms behind attention and feed-forward only, and on the heads of q and k. The 32B has a window and a rope
// in three of four layers and neither in the fourth. LG AI Research 2025, "EXAONE 4.0".
#include "models/rope.h"

namespace hearth::models {

namespace {

constexpr uint32_t kLayers_32b = 64;

Result<Spec> read(const Metadata& keys, const ReadOptions& options) {
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys));
  TRY(read_rms_norm(keys, &spec));
  spec.pre_norms = false;
  spec.post_norms = true;
  spec.qk_norm = QkNorm::kPerHead;
  TRY(add_rope(keys, options, device::Rope::Pairs::kHalves, &spec));
  if (spec.layers != kLayers_32b) return spec;
  ASSIGN_OR_RETURN(const uint32_t window, keys.count_or("attention.sliding_window", 4096, 1, kMost_context));
  open_every_fourth(window, &spec);
  return spec;
}

const Architecture kArchitecture{"exaone4", read};
const RegisterArchitecture registered(&kArchitecture);

}  // namespace

}  // namespace hearth::models
