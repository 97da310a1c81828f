// SmolLM3: as Llama, but every fourth layer has no rope (which its files do not say).
// Bakouch et al. 2025, "SmolLM3: smol, multilingual, long-context reasoner"; Yang et al. 2025, "Rope to Nope and Back
// Again".
#include "models/rope.h"

namespace hearth::models {

namespace {

Result<Spec> read(const Metadata& keys, const ReadOptions& options) {
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys));
  TRY(read_rms_norm(keys, &spec));
  TRY(add_rope(keys, options, device::Rope::Pairs::kAdjacent, &spec));
  open_every_fourth(0, &spec);
  return spec;
}

const Architecture kArchitecture{"smollm3", read};
const RegisterArchitecture registered(&kArchitecture);

}  // namespace

}  // namespace hearth::models
