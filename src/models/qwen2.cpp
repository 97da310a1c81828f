// Qwen 1.5, 2 and 2.5: as Llama, with biases on q, k and v, and pairs half a head apart.
// Yang et al. 2024, "Qwen2 Technical Report".
#include "models/rope.h"

namespace hearth::models {

namespace {

Result<Spec> read(const gguf::File& file, const ReadOptions& options) {
  const Metadata keys(file);
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys));
  TRY(read_rms_norm(keys, &spec));
  TRY(add_rope(keys, options, device::Rope::Pairs::kHalves, &spec));
  return spec;
}

const Architecture kQwen2{"qwen2", read};
const Architecture kQwen2Vl{"qwen2vl", read};
const RegisterArchitecture registered(&kQwen2);
const RegisterArchitecture registered_vl(&kQwen2Vl);

}  // namespace

}  // namespace hearth::models
