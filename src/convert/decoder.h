// What decoders share: their dimensions in config.json, and the names of their tensors.
#pragma once

#include <string>

#include "convert/family.h"

namespace hearth::convert {

// Values that a family's configuration class has where config.json is silent; 0: it must say.
struct DecoderDefaults {
  uint32_t heads = 0, kv_heads = 0;  // kv_heads 0: as many as heads
  uint32_t head = 0;                 // 0: width / heads
  uint32_t width = 0, inner = 0, layers = 0, context = 0, vocabulary = 0;
  double epsilon = 1e-6, rope_base = 10000;
  bool tied = false;
  const char* activation = "silu";
};

struct Decoder {
  uint32_t layers = 0, width = 0, inner = 0, heads = 0, kv_heads = 0, head = 0, vocabulary = 0, context = 0;
  uint32_t rotated = 0;  // of the numbers of a head
  bool tied = false;
  double rope_base = 0;
  std::string prefix;  // of the names of tensors: "model."
};

// Also sets the keys that all architectures have.
Result<Decoder> read_decoder(const Json& config, const DecoderDefaults& defaults, Plan& plan);

// Reads rope_scaling: linear, llama3 and yarn; others are kUnsupported. With `longrope` it knows Phi's as well.
Status add_rope_scaling(const Json& config, const Decoder& decoder, Plan& plan);

struct LayerNames {
  bool reordered = false;     // rows of q and k for pairs of neighbours
  bool fused = false;         // q, k and v in one matrix, gate and up in another
  bool qk_norms = false;      // on the heads of q and k
  bool whole_norms = false;   // these over all heads at once
  bool norms_behind = false;  // norms on the results of attention and feed-forward, and none before
  bool post_norms = false;    // four norms a layer, as Gemma has
  bool feed_forward = true;   // false: the family adds its own
  float add_to_norms = 0;
};
// Embedding, layers, last norm and output. Biases are taken along where the checkpoint has them.
Status add_tensors(const Decoder& decoder, const LayerNames& names, Plan& plan);

struct ExpertPart {
  const char* ours;    // "gate", "up" or "down"
  const char* theirs;  // "gate_proj"
};
// The feed-forward matrices of plan.experts experts and their router in every layer, as stacks, in the order of
// `parts`. `module`: what their names have behind the layer's; `inner`: numbers between up and down.
Status add_experts(const Decoder& decoder, std::string_view module, uint32_t inner,
                   std::initializer_list<ExpertPart> parts, Plan& plan);

// Errors: kUnsupported, naming key and value, if config.json asks for another.
Status require_text(const Json& config, std::string_view key, std::string_view expected);
Status require_false(const Json& config, std::string_view key);

}  // namespace hearth::convert
