// Gemma 3: five layers with a sliding window and a rope of their own, then one that sees everything;
// norms on the heads of q and k. Gemma Team 2025, "Gemma 3 Technical Report".
#include "models/gemma.h"
#include "models/rope.h"

namespace hearth::models {

namespace {

constexpr uint32_t kLayers_27b = 62, kLong_context = 131072;
enum Ropes : uint32_t { kGlobal, kLocal };

Result<Spec> read(const Metadata& keys, const ReadOptions& options) {
  using Pairs = device::Rope::Pairs;
  ASSIGN_OR_RETURN(Spec spec, read_gemma(keys, kLayers_27b));
  spec.qk_norm = QkNorm::kPerHead;
  spec.other_tensors = {"v.", "mm."};  // the image part of files that have both

  // Files made by Ollama call the bases rope.global.freq_base and rope.local.freq_base.
  ASSIGN_OR_RETURN(const float global_base, keys.number_or("rope.global.freq_base", 1e6, 1.0001, 1e30));
  ASSIGN_OR_RETURN(float local_base, keys.number_or("rope.local.freq_base", 10000, 1.0001, 1e30));
  ASSIGN_OR_RETURN(local_base, keys.number_or("rope.freq_base_swa", local_base, 1.0001, 1e30));
  ASSIGN_OR_RETURN(device::Rope global, read_rope(keys, options, Pairs::kHalves, &spec, global_base));
  // Ollama's files do not say that the models for long contexts stretch their global rope.
  const bool says_nothing = !keys.has("attention.layer_norm_rms_epsilon") && !keys.has("rope.scaling.factor");
  if (says_nothing && spec.context >= kLong_context)
    for (float& frequency : global.inverse_frequency) frequency /= 8;
  ASSIGN_OR_RETURN(device::Rope local, plain_rope(keys, local_base, Pairs::kHalves, spec));
  spec.ropes = {std::move(global), std::move(local)};

  ASSIGN_OR_RETURN(const uint32_t window, keys.count("attention.sliding_window", 1, kMost_context));
  ASSIGN_OR_RETURN(const uint32_t period, keys.count_or("attention.sliding_window_pattern", 6, 1, kMost_layers));
  for (uint32_t i = 0; i < spec.layers; ++i) {
    if ((i + 1) % period == 0) continue;
    spec.per_layer[i] = {.window = window, .rope = kLocal};
  }
  return spec;
}

const Architecture kGemma3{"gemma3", read};
const RegisterArchitecture registered(&kGemma3);

}  // namespace

}  // namespace hearth::models
