// OPT, in two forms: norms before both parts, or (350M) on the sums behind them, with tables of tokens that are
// narrower than the model. Zhang et al. 2022, "OPT: Open Pre-trained Transformer Language Models". The keys
// use_post_norm and word_embed_proj_dim are those of Hugging Face's configuration.
#include "models/metadata.h"

namespace hearth::models {

namespace {

Result<Spec> read(const Metadata& keys, const ReadOptions&) {
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys));
  TRY(read_layer_norm(keys, &spec));
  spec.activation = device::Activation::kRelu;
  spec.gated = false;
  spec.learned_positions = true;
  if (keys.file().bool_or(keys.name("use_post_norm"), false)) {
    spec.pre_norms = false;
    spec.norms_on_sums = true;
  }
  ASSIGN_OR_RETURN(const uint32_t narrow, keys.count_or("word_embed_proj_dim", spec.width, 1, kMost_width));
  if (narrow != spec.width) spec.embedding_width = narrow;
  return spec;
}

const Architecture kArchitecture{"opt", read};
const RegisterArchitecture registered(&kArchitecture);

}  // namespace

}  // namespace hearth::models
