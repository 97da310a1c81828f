// Qwen 3, dense and with experts: as Qwen 2 without biases, with norms on the heads of q and k.
// Yang et al. 2025, "Qwen3 Technical Report".
#include "models/rope.h"

namespace hearth::models {

namespace {

Result<Spec> read(const Metadata& keys, const ReadOptions& options) {
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys));
  TRY(read_rms_norm(keys, &spec));
  spec.qk_norm = QkNorm::kPerHead;
  TRY(add_rope(keys, options, device::Rope::Pairs::kHalves, &spec));
  return spec;
}

Result<Spec> read_vl(const Metadata& keys, const ReadOptions& options) {
  ASSIGN_OR_RETURN(Spec spec, read(keys, options));
  spec.other_tensors.insert(spec.other_tensors.end(), {"v.", "mm."});  // the encoder of files that have both
  TRY(add_axes(keys, true, &spec.ropes[0]));
  // Files that Ollama made until 2026 do not say it: 24, 20 and 20 of the 64 pairs of all these models.
  device::Rope& rope = spec.ropes[0];
  if (rope.axis.empty())
    set_axes({rope.dims / 2 * 24 / 64, rope.dims / 2 * 20 / 64, rope.dims / 2 * 20 / 64}, true, &rope);
  return spec;
}

const Architecture kQwen3{"qwen3", read};
const Architecture kQwen3Moe{"qwen3moe", read};
const Architecture kQwen3Vl{"qwen3vl", read_vl};
const Architecture kQwen3VlMoe{"qwen3vlmoe", read_vl};
const RegisterArchitecture registered(&kQwen3);
const RegisterArchitecture registered_vl(&kQwen3Vl);
const RegisterArchitecture registered_vl_moe(&kQwen3VlMoe);
const RegisterArchitecture registered_moe(&kQwen3Moe);

}  // namespace

}  // namespace hearth::models
