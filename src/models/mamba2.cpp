// Mamba-2: state-space layers and nothing else. Dao and Gu 2024, "Transformers are SSMs".
#include "models/recurrent.h"

namespace hearth::models {

namespace {

Result<Spec> read(const Metadata& keys, const ReadOptions&) {
  ASSIGN_OR_RETURN(Spec spec,
                   read_sizes(keys, {"attention.head_count", "attention.head_count_kv", "feed_forward_length"}));
  TRY(read_rms_norm(keys, &spec));
  TRY(read_scan_sizes(keys, &spec));
  for (LayerSpec& layer : spec.per_layer) {
    layer.mixer = Mixer::kStateSpace;
    layer.feed_forward = false;
  }
  return spec;
}

const Architecture kArchitecture{"mamba2", read};
const RegisterArchitecture registered(&kArchitecture);

}  // namespace

}  // namespace hearth::models
