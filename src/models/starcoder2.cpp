// StarCoder 2: layer norms, biases everywhere, GELU without a gate. Lozhkov et al. 2024, "StarCoder 2 and The Stack
// v2".
#include "models/rope.h"

namespace hearth::models {

namespace {

Result<Spec> read(const Metadata& keys, const ReadOptions& options) {
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys));
  TRY(read_layer_norm(keys, &spec));
  TRY(read_window(keys, 0, &spec));
  spec.activation = device::Activation::kGeluTanh;
  spec.gated = false;
  TRY(add_rope(keys, options, device::Rope::Pairs::kHalves, &spec));
  return spec;
}

const Architecture kArchitecture{"starcoder2", read};
const RegisterArchitecture registered(&kArchitecture);

}  // namespace

}  // namespace hearth::models
