// GLM-4-0414: norms before and behind both parts, gate and up in one matrix, half of each head rotates.
// GLM Team 2024, "ChatGLM: A Family of Large Language Models from GLM-130B to GLM-4 All Tools".
#include "models/rope.h"

namespace hearth::models {

namespace {

Result<Spec> read(const Metadata& keys, const ReadOptions& options) {
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys));
  TRY(read_rms_norm(keys, &spec));
  spec.post_norms = true;
  spec.gate_in_up = true;
  TRY(add_rope(keys, options, device::Rope::Pairs::kAdjacent, &spec));
  return spec;
}

const Architecture kArchitecture{"glm4", read};
const RegisterArchitecture registered(&kArchitecture);

}  // namespace

}  // namespace hearth::models
