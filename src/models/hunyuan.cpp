// Hunyuan dense: as Llama, with norms on the heads of q and k behind the rope. Tencent 2025, "Hunyuan 0.5B to 7B".
#include "models/rope.h"

namespace hearth::models {

namespace {

Result<Spec> read(const Metadata& keys, const ReadOptions& options) {
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys));
  TRY(read_rms_norm(keys, &spec));
  spec.qk_norm = QkNorm::kPerHeadAfterRotation;
  TRY(add_rope(keys, options, device::Rope::Pairs::kHalves, &spec));
  return spec;
}

const Architecture kArchitecture{"hunyuan-dense", read};
const RegisterArchitecture registered(&kArchitecture);

}  // namespace

}  // namespace hearth::models
