// OLMo 2 and 3: norms behind attention and feed-forward only, q and k normalised over all heads at once. OLMo 3 has a
// window in all layers but every fourth, and its scaled rope in those without. OLMo Team 2025, "2 OLMo 2 Furious";
// "OLMo 3".
#include "models/rope.h"

namespace hearth::models {

namespace {

Result<Spec> read(const Metadata& keys, const ReadOptions& options) {
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys));
  TRY(read_rms_norm(keys, &spec));
  spec.pre_norms = false;
  spec.post_norms = true;
  spec.qk_norm = QkNorm::kWhole;
  TRY(add_rope(keys, options, device::Rope::Pairs::kHalves, &spec));
  ASSIGN_OR_RETURN(const uint32_t window, keys.count_or("attention.sliding_window", 0, 0, kMost_context));
  if (window == 0) return spec;
  ASSIGN_OR_RETURN(float base, keys.number_or("rope.freq_base", 10000, 1.0001, 1e30));
  ASSIGN_OR_RETURN(base, keys.number_or("rope.freq_base_swa", base, 1.0001, 1e30));
  ASSIGN_OR_RETURN(device::Rope unscaled, plain_rope(keys, base, device::Rope::Pairs::kHalves, spec));
  spec.ropes.push_back(std::move(unscaled));
  for (uint32_t i = 0; i < spec.layers; ++i)
    if (i % 4 != 3) spec.per_layer[i] = {.window = window, .rope = 1};
  return spec;
}

const Architecture kOlmo2{"olmo2", read};
const Architecture kOlmo3{"olmo3", read};  // as some files name it
const RegisterArchitecture registered_olmo2(&kOlmo2);
const RegisterArchitecture registered_olmo3(&kOlmo3);

}  // namespace

}  // namespace hearth::models
