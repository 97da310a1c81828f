// gpt-oss: a sink beside the scores of every head, windows in every other layer, experts with biases and a clamped
// gate, YaRN. OpenAI 2025, "gpt-oss-120b & gpt-oss-20b Model Card".
#include "models/rope.h"

namespace hearth::models {

namespace {

Result<Spec> read(const Metadata& keys, const ReadOptions& options) {
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys, {"expert_gating_func"}));
  TRY(read_rms_norm(keys, &spec));
  TRY(read_routing(keys, true, &spec));
  spec.activation = device::Activation::kClampedSwish;
  // Ollama's files name no kind of scaling.
  ASSIGN_OR_RETURN(device::Rope rope, read_rope(keys, options, device::Rope::Pairs::kHalves, &spec, 10000, "yarn"));
  spec.ropes.push_back(std::move(rope));
  ASSIGN_OR_RETURN(const uint32_t window, keys.count("attention.sliding_window", 1, kMost_context));
  for (uint32_t i = 0; i < spec.layers; i += 2) spec.per_layer[i].window = window;
  return spec;
}

const Architecture kArchitecture{"gpt-oss", read};
const Architecture kOf_ollama{"gptoss", read};
const RegisterArchitecture registered(&kArchitecture);
const RegisterArchitecture registered_of_ollama(&kOf_ollama);

}  // namespace

}  // namespace hearth::models
