// Gemma 2: every other layer has a sliding window, attention scores and logits are soft-capped.
// Gemma Team 2024, "Gemma 2: Improving Open Language Models at a Practical Size".
#include "models/gemma.h"
#include "models/rope.h"

namespace hearth::models {

namespace {

constexpr uint32_t kLayers_27b = 46;

Result<Spec> read(const Metadata& keys, const ReadOptions& options) {
  ASSIGN_OR_RETURN(Spec spec, read_gemma(keys, kLayers_27b));
  // Early files lack these keys; all models of the family have the same values.
  if (!keys.has("attn_logit_softcapping")) spec.attention_soft_cap = 50;
  if (!keys.has("final_logit_softcapping")) spec.logit_soft_cap = 30;
  ASSIGN_OR_RETURN(const uint32_t window, keys.count_or("attention.sliding_window", 4096, 0, kMost_context));
  for (size_t i = 0; i < spec.per_layer.size(); i += 2) spec.per_layer[i].window = window;
  TRY(add_rope(keys, options, device::Rope::Pairs::kHalves, &spec));
  return spec;
}

const Architecture kGemma2{"gemma2", read};
const RegisterArchitecture registered(&kGemma2);

}  // namespace

}  // namespace hearth::models
