// Phi 3, 3.5 and 4: q, k and v in one matrix, gate and up in another, tables of rope factors for long
// contexts. Abdin et al. 2024, "Phi-3 Technical Report".
#include "models/rope.h"

namespace hearth::models {

namespace {

// Files made before July 2024 lack the window; these are the windows of the models of that time.
// https://github.com/ggml-org/llama.cpp/pull/8931
uint32_t early_window(const Spec& spec) {
  if ((spec.layers == 32 || spec.layers == 40) && spec.context == 4096) return 2047;
  if (spec.layers == 32 && spec.kv_heads == 32 && spec.context == 131072) return 262144;
  if (spec.layers == 40 && spec.context == 131072) return 131072;
  return 0;
}

Result<Spec> read(const Metadata& keys, const ReadOptions& options) {
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys));
  TRY(read_rms_norm(keys, &spec));
  spec.gate_in_up = true;
  TRY(read_window(keys, early_window(spec), &spec));
  TRY(add_rope(keys, options, device::Rope::Pairs::kHalves, &spec));
  return spec;
}

const Architecture kPhi3{"phi3", read};
const RegisterArchitecture registered(&kPhi3);

}  // namespace

}  // namespace hearth::models
