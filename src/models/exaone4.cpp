// EXAONE 4: norms behind attention and feed-forward only, and on the heads of q and k. The 32B has a window and a rope
// in three of four layers and neither in the fourth. LG AI Research 2025, "EXAONE 4.0".
#include "models/rope.h"

namespace hearth::models {

namespace {

constexpr uint32_t kLayers_32b = 64;

Result<Spec> read(const gguf::File& file, const ReadOptions& options) {
  const Metadata keys(file);
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys));
  TRY(read_rms_norm(keys, &spec));
  spec.pre_norms = false;
  spec.post_norms = true;
  spec.qk_norm = QkNorm::kPerHead;
  ASSIGN_OR_RETURN(device::Rope rope, read_rope(keys, options, device::Rope::Pairs::kHalves, &spec));
  spec.ropes.push_back(std::move(rope));
  if (spec.layers != kLayers_32b) return spec;
  ASSIGN_OR_RETURN(const uint32_t window, keys.count_or("attention.sliding_window", 4096, 1, kMost_context));
  for (uint32_t i = 0; i < spec.layers; ++i) {
    if (i % 4 == 3)
      spec.per_layer[i].rope = kNo_rope;
    else
      spec.per_layer[i].window = window;
  }
  return spec;
}

const Architecture kArchitecture{"exaone4", read};
const RegisterArchitecture registered(&kArchitecture);

}  // namespace

}  // namespace hearth::models
