// SmolLM3: as Llama, but every fourth layer has no rope (which its files do not say).
// Bakouch et al. 2025, "SmolLM3: smol, multilingual, long-context reasoner"; Yang et al. 2025, "Rope to Nope and Back
// Again".
#include "models/rope.h"

namespace hearth::models {

namespace {

Result<Spec> read(const gguf::File& file, const ReadOptions& options) {
  const Metadata keys(file);
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys));
  TRY(read_rms_norm(keys, &spec));
  ASSIGN_OR_RETURN(device::Rope rope, read_rope(keys, options, device::Rope::Pairs::kAdjacent, &spec));
  spec.ropes.push_back(std::move(rope));
  for (uint32_t i = 3; i < spec.layers; i += 4) spec.per_layer[i].rope = kNo_rope;
  return spec;
}

const Architecture kArchitecture{"smollm3", read};
const RegisterArchitecture registered(&kArchitecture);

}  // namespace

}  // namespace hearth::models
