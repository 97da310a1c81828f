// Gemma 3n: a residual of four streams, inputs of every layer's own, sparse gates in the first layers, and layers at
// the end that read the caches of two before them. Google 2025, "Gemma 3n"; facts of the files:
// https://github.com/ggml-org/llama.cpp/blob/master/src/models/gemma3n.cpp
#include "base/error.h"
#include "device/device.h"
#include "models/gemma.h"
#include "models/rope.h"

namespace hearth::models {

namespace {

enum Ropes : uint32_t { kGlobal, kLocal };

// What older files do not say.
constexpr uint32_t kStreams = 4, kInputs = 256, kSide_rank = 64, kSparse_layers = 10, kOwn_caches = 20;
constexpr float kDeviations = 1.6448535f;  // 95 % of a normal distribution lie below
constexpr uint32_t kMost_streams = device::kMost_mixed;

Status read_streams(const Metadata& keys, Spec* spec) {
  ASSIGN_OR_RETURN(spec->streams.count, keys.count_or("altup.num_inputs", kStreams, 2, kMost_streams));
  ASSIGN_OR_RETURN(const uint32_t active, keys.count_or("altup.active_idx", 0, 0, kMost_streams));
  if (active != 0)
    return error(ErrorKind::kUnsupported, "{}: {} = {} asks for a behaviour that is not supported", keys.file().path(),
                 keys.name("altup.active_idx"), active);
  if (!keys.flag_or("altup.correct_scale", true))
    return error(ErrorKind::kUnsupported, "{}: {} is false, which is not supported", keys.file().path(),
                 keys.name("altup.correct_scale"));
  ASSIGN_OR_RETURN(spec->layer_inputs, keys.count_or("embedding_length_per_layer_input", kInputs, 1, kMost_head));
  const gguf::Tensor* side = keys.file().tensor("blk.0.laurel_l.weight");
  spec->streams.side_rank =
      side != nullptr && side->shape[1] <= spec->width ? static_cast<uint32_t>(side->shape[1]) : kSide_rank;
  return {};
}

// Windows, sparse gates, and whose cache is read.
Status read_layers(const Metadata& keys, Spec* spec) {
  ASSIGN_OR_RETURN(const uint32_t window, keys.count("attention.sliding_window", 1, kMost_context));
  for (uint32_t i = 0; i < spec->layers; ++i) {
    LayerSpec& layer = spec->per_layer[i];
    // Writers give the quantile of the normal distribution, which is -infinity where all gates count.
    layer.gate_deviations = keys.number_of_layer("activation_sparsity_scale", i, i < kSparse_layers ? kDeviations : 0);
    if (layer.gate_deviations < 0) layer.gate_deviations = 0;
    if (!(layer.gate_deviations <= 100))
      return keys.invalid("activation_sparsity_scale",
                          fmt::format("is {} in layer {}; expected at most 100", layer.gate_deviations, i));
    if (keys.of_layer("attention.sliding_window_pattern", i, (i + 1) % 5 != 0 ? 1 : 0) != 0)
      layer.window = window, layer.rope = kLocal;
  }
  const uint32_t usual = spec->layers > kOwn_caches ? spec->layers - kOwn_caches : 0;
  return share_caches(keys, usual, spec);
}

Result<Spec> read(const Metadata& keys, const ReadOptions& options) {
  using Pairs = device::Rope::Pairs;
  ASSIGN_OR_RETURN(Spec spec, read_gemma(keys, 0, {"attention.shared_kv_layers", "embedding_length_per_layer_input"}));
  if (spec.key_dim != spec.value_dim)
    return keys.invalid("attention.value_length", "is not the keys', of which values may be made");
  spec.attention_scale = 1;
  spec.qk_norm = QkNorm::kPerHead;
  spec.norm_values = true;
  if (!keys.has("final_logit_softcapping")) spec.logit_soft_cap = 30;
  TRY(read_streams(keys, &spec));
  TRY(read_layers(keys, &spec));
  spec.other_tensors.insert(spec.other_tensors.end(), {"v.", "mm.", "a."});  // images and sound, in files that have all
  ASSIGN_OR_RETURN(const float local_base, keys.number_or("rope.freq_base_swa", 10000, 1.0001, 1e30));
  TRY(add_rope(keys, options, Pairs::kHalves, &spec));
  ASSIGN_OR_RETURN(device::Rope local, plain_rope(keys, local_base, Pairs::kHalves, spec));
  spec.ropes.push_back(std::move(local));
  return spec;
}

const Architecture kArchitecture{"gemma3n", read};
const RegisterArchitecture registered(&kArchitecture);

}  // namespace

}  // namespace hearth::models
