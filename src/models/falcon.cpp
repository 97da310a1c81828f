// Falcon 1: attention and feed-forward side by side, behind one norm (7B) or one each (40B). Almazrouei et al. 2023,
// "The Falcon Series of Open Language Models".
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

const Architecture kArchitecture{"falcon", read};
const RegisterArchitecture registered(&kArchitecture);

}  // namespace

}  // namespace hearth::models
