// Phi 1, 1.5 and 2: attention and feed-forward side by side behind one norm, biases everywhere, a part of each head
// rotates. Li et al. 2023, "Textbooks Are All You Need II"; Javaheripi et al. 2023, "Phi-2".
#include "models/rope.h"

namespace hearth::models {

namespace {

Result<Spec> read(const gguf::File& file, const ReadOptions& options) {
  const Metadata keys(file);
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys));
  TRY(read_layer_norm(keys, &spec));
  spec.activation = device::Activation::kGeluTanh;
  spec.gated = false;
  spec.side_by_side = true;
  ASSIGN_OR_RETURN(device::Rope rope, read_rope(keys, options, device::Rope::Pairs::kHalves, &spec));
  spec.ropes.push_back(std::move(rope));
  return spec;
}

const Architecture kArchitecture{"phi2", read};
const RegisterArchitecture registered(&kArchitecture);

}  // namespace

}  // namespace hearth::models
