// Falcon 1 and Phi 1 to 2: attention and feed-forward side by side, behind one norm or (Falcon 40B) one each; Phi has
// biases everywhere, and only a part of its heads rotates. Almazrouei et al. 2023, "The Falcon Series of Open Language
// Models"; Li et al. 2023, "Textbooks Are All You Need II"; Javaheripi et al. 2023, "Phi-2".
#include "models/rope.h"

namespace hearth::models {

namespace {

Result<Spec> read(const Metadata& keys, const ReadOptions& options) {
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys));
  TRY(read_layer_norm(keys, &spec));
  spec.activation = device::Activation::kGeluTanh;
  spec.gated = false;
  spec.side_by_side = true;
  TRY(add_rope(keys, options, device::Rope::Pairs::kHalves, &spec));
  return spec;
}

const Architecture kFalcon{"falcon", read};
const Architecture kPhi2{"phi2", read};
const RegisterArchitecture registered_falcon(&kFalcon);
const RegisterArchitecture registered_phi2(&kPhi2);

}  // namespace

}  // namespace hearth::models
