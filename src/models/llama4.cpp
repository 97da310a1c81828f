// Llama 4: three layers that see their chunk of the text only, then one that sees all of it without a rope and with
// queries that grow; experts that are weighed by a sigmoid on what they read, in every or every other layer, and one
// that every token uses. Meta 2025, "The Llama 4 herd". Most of it is in no key.
#include <bit>

#include "base/error.h"
#include "models/rope.h"

namespace hearth::models {

namespace {

constexpr uint32_t kChunk = 8192;
constexpr uint32_t kExperts_of_maverick = 128;

Result<Spec> read(const Metadata& keys, const ReadOptions& options) {
  ASSIGN_OR_RETURN(Spec spec, read_sizes(keys, {"expert_shared_count", "expert_gating_func"}));
  TRY(read_rms_norm(keys, &spec));
  TRY(read_routing(keys, false, &spec));
  spec.expert_gating = device::Gating::kSigmoid;
  spec.normalise_experts = false;
  spec.weigh_expert_inputs = true;
  if (spec.experts != 0 && spec.shared_feed_forward == 0) spec.shared_feed_forward = spec.expert_feed_forward;
  if (keys.flag_or("use_qk_norm", spec.experts != kExperts_of_maverick)) spec.qk_norm = QkNorm::kPlainAfterRotation;
  TRY(add_rope(keys, options, device::Rope::Pairs::kAdjacent, &spec));
  // Ollama writes the first key; a window of 0 in the second says that the model has none (MobileLLM).
  ASSIGN_OR_RETURN(const uint32_t chunk, keys.count_or("attention.chunk_size", kChunk, 1, kMost_context));
  ASSIGN_OR_RETURN(const uint32_t window, keys.count_or("attention.sliding_window", chunk, 0, kMost_context));
  if (window == 0) return spec;
  if (!std::has_single_bit(chunk))
    return error(ErrorKind::kUnsupported, "{}: {} = {}; chunks that are no power of two are not supported",
                 keys.file().path(), keys.name("attention.chunk_size"), chunk);
  open_every_fourth(chunk, &spec);
  for (LayerSpec& layer : spec.per_layer) {
    layer.chunked = layer.window != 0;
    if (!layer.chunked) layer.growth = {.factor = 0.1f, .period = kChunk, .offset = 1};
  }
  return spec;
}

const Architecture kArchitecture{"llama4", read};
const RegisterArchitecture registered(&kArchitecture);

}  // namespace

}  // namespace hearth::models
