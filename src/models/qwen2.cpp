// Qwen 1.5, 2 and 2.5: as Llama, with biases on q, k and v, and pairs half a head apart.
// Yang et al. 2024, "Qwen2 Technical Report".
#include "models/rope.h"

namespace hearth::models {

namespace {

Result<Spec> read(const Metadata& keys, const ReadOptions& options) {
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys));
  TRY(read_rms_norm(keys, &spec));
  TRY(add_rope(keys, options, device::Rope::Pairs::kHalves, &spec));
  return spec;
}

Result<Spec> read_vl(const Metadata& keys, const ReadOptions& options) {
  ASSIGN_OR_RETURN(Spec spec, read(keys, options));
  TRY(add_axes(keys, false, &spec.ropes[0]));
  return spec;
}

// Ollama's, with the encoder of images.
Result<Spec> read_with_vision(const Metadata& keys, const ReadOptions& options) {
  ASSIGN_OR_RETURN(Spec spec, read_vl(keys, options));
  spec.other_tensors.insert(spec.other_tensors.end(), {"v.", "mm."});
  return spec;
}

const Architecture kQwen2{"qwen2", read};
const Architecture kQwen25Vl{"qwen25vl", read_with_vision};
const RegisterArchitecture registered_25_vl(&kQwen25Vl);
const Architecture kQwen2Vl{"qwen2vl", read_vl};
const RegisterArchitecture registered(&kQwen2);
const RegisterArchitecture registered_vl(&kQwen2Vl);

}  // namespace

}  // namespace hearth::models
