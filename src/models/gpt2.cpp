// GPT-2 and DialoGPT: layer norms, biases everywhere, learned positions, GELU without a gate.
// Radford et al. 2019, "Language Models are Unsupervised Multitask Learners".
#include "models/metadata.h"

namespace hearth::models {

namespace {

Result<Spec> read(const Metadata& keys, const ReadOptions&) {
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys));
  TRY(read_layer_norm(keys, &spec));
  spec.activation = device::Activation::kGeluTanh;
  spec.gated = false;
  spec.learned_positions = true;
  return spec;
}

const Architecture kGpt2{"gpt2", read};
const RegisterArchitecture registered(&kGpt2);

}  // namespace

}  // namespace hearth::models
