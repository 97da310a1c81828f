// What decoders share: their dimensions in config.json, and the names of their tensors.
#pragma once

#include <string>
#include <utility>

#include "convert/family.h"

namespace hearth::convert {

// Values that a family's configuration class has where config.json is silent; 0: it must say. And how it names what
// families name differently.
struct DecoderDefaults {
  uint32_t heads = 0, kv_heads = 0;  // kv_heads 0: as many as heads
  uint32_t head = 0;                 // 0: width / heads
  uint32_t width = 0, inner = 0, layers = 0, context = 0, vocabulary = 0;
  double epsilon = 1e-6, rope_base = 10000;
  double rotated = 1;  // part of a head
  bool tied = false;
  bool layer_norms = false;  // not RMS norms
  const char* epsilon_key = "rms_norm_eps";
  const char* inner_key = "intermediate_size";
  const char* activation_key = "hidden_act";
  const char* activation = "silu";
};

struct Decoder {
  uint32_t layers = 0, width = 0, inner = 0, heads = 0, kv_heads = 0, head = 0, vocabulary = 0, context = 0;
  uint32_t rotated = 0;  // of the numbers of a head
  bool tied = false;
  double rope_base = 0;
  std::string prefix;  // of the names of tensors: "model."

  std::string layer(uint32_t index) const { return fmt::format("{}layers.{}.", prefix, index); }
};

// Also sets the keys that all architectures have.
Result<Decoder> read_decoder(const Json& config, const DecoderDefaults& defaults, Plan& plan);

// The part for text of a model that also sees or hears, whose other tensors are left out with a note; of one that does
// not, the configuration itself.
Result<Json> text_part(const Json& config, Plan& plan);

// Layers behind the last that predict the tokens after the next.
Status leave_out_predictors(const Json& config, const Decoder& decoder, Plan& plan);

// Whether the part for text, or the whole if there are no parts, is of this kind.
bool is_text_of(const Json& config, std::string_view model_type);

// Of each layer what layer_types says, "full_attention" for one; empty if it says nothing.
Result<std::vector<std::string>> read_layer_types(const Json& config, uint32_t layers);
// kUnsupported unless layer_types, if it is there, is `period` - 1 layers with a window and one without in turns.
Status require_windows(const Json& config, uint32_t layers, uint32_t period);

// Reads rope_scaling: linear, llama3 and yarn; others are kUnsupported. With `longrope` it knows Phi's as well.
// `log_multiplier`: of yarn's mscale, as the architecture has it in its files; 0: it does not know mscale.
Status add_rope_scaling(const Json& config, const Decoder& decoder, Plan& plan, double log_multiplier = 0);

// "attn_norm" and "input_layernorm"
using NamePair = std::pair<const char*, const char*>;

// Around attention and the feed-forward (Gemma), and behind them only.
inline const std::vector<NamePair> kNorms_around = {{"attn_norm", "input_layernorm"},
                                                    {"post_attention_norm", "post_attention_layernorm"},
                                                    {"ffn_norm", "pre_feedforward_layernorm"},
                                                    {"post_ffw_norm", "post_feedforward_layernorm"}};
inline const std::vector<NamePair> kNorms_behind = {{"post_attention_norm", "post_attention_layernorm"},
                                                    {"post_ffw_norm", "post_feedforward_layernorm"}};
// Before both, the second one named after where it stands.
inline const std::vector<NamePair> kNorms_between = {{"attn_norm", "input_layernorm"},
                                                     {"post_attention_norm", "post_attention_layernorm"}};

struct FeedForwardNames {
  const char* module = "mlp";
  const char* gate = "gate_proj";  // null: there is none, or it is in `up`
  const char* up = "up_proj";
  const char* down = "down_proj";
};

// How a layer's tensors are named and arranged; as Llama has them but for what is said.
struct LayerNames {
  bool reordered = false;   // rows of q and k for pairs of neighbours
  bool fused = false;       // q, k and v in one matrix
  bool gate_in_up = false;  // gate and up in one matrix
  const char *q_norm = nullptr, *k_norm = nullptr;
  bool whole_norms = false;         // these over all heads at once, not on each
  bool keys = true, values = true;  // false: it reads another layer's; values are made of keys
  uint32_t queries = 1;             // times the heads: numbers of the projection of queries (2: with a gate for each)
  std::vector<NamePair> norms = {{"attn_norm", "input_layernorm"}, {"ffn_norm", "post_attention_layernorm"}};
  float add_to_norms = 0;
  const char* attention = "self_attn";
  const char* output = "o_proj";
  FeedForwardNames feed_forward = {};
};

// One part of layer `index` each. Biases are taken along where the checkpoint has them.
Status add_norm(Plan& plan, const std::string& name, const std::string& source, uint64_t width, float add = 0);
Status add_linear(Plan& plan, const std::string& name, const std::string& source, uint64_t rows, uint64_t columns,
                  const TargetOptions& options = {});
Status add_norms(const Decoder& decoder, const LayerNames& names, uint32_t index, Plan& plan);
Status add_attention(const Decoder& decoder, const LayerNames& names, uint32_t index, Plan& plan);
// `suffix`: of our names ("_shexp"). `inner` and the names are the decoder's if not given.
Status add_feed_forward(const Decoder& decoder, const LayerNames& names, uint32_t index, Plan& plan);
Status add_feed_forward(const Decoder& decoder, const FeedForwardNames& names, uint32_t index, uint64_t inner,
                        const char* suffix, Plan& plan);
// The norms, attention and the feed-forward.
Status add_layer(const Decoder& decoder, const LayerNames& names, uint32_t index, Plan& plan);
// Embedding, last norm and output.
Status add_ends(const Decoder& decoder, Plan& plan, float add_to_norm = 0, NamePair norm = {"output_norm", "norm"});
// All of these.
Status add_tensors(const Decoder& decoder, const LayerNames& names, Plan& plan);

struct ExpertNames {
  const char* module = "mlp";  // behind the layer's name
  const char* router = "gate";
  FeedForwardNames parts = {"experts"};
  uint32_t inner = 0;
  const char* choice_bias = nullptr;  // "gate.e_score_correction_bias"
  FeedForwardNames shared = {.module = nullptr};
  uint32_t shared_inner = 0;
};
// The router and the feed-forwards of plan.experts experts of layer `index`, as stacks, and the one that every token
// uses. The checkpoint has a tensor for each, or (newer libraries) stacks of gate and up together, turned or not.
Status add_experts(const Decoder& decoder, const ExpertNames& names, uint32_t index, Plan& plan);
// Sets plan.experts and the keys that all architectures with experts have.
Status read_experts(const Json& config, const char* count_key, const char* used_key, Plan& plan);

// Stacks that have columns x rows, gate beside up: `source` + "gate_up_proj" and "down_proj".
Status add_turned_stacks(const Decoder& decoder, uint64_t inner, uint32_t index, const std::string& source, Plan& plan);

// `source`, which has the rows of two matrices, one under the other, in each of `stacks` (0: it is no stack), as two.
Status add_halves(Plan& plan, const std::string& first, const std::string& second, const std::string& source,
                  uint64_t stacks, uint64_t rows, uint64_t columns);

// A number, or one for each layer, which must agree. `fallback` 0: it must be there.
Result<uint32_t> same_for_all(const Json& config, const char* key, uint32_t fallback, uint32_t least, uint32_t most);

// Errors: kUnsupported, naming key and value, if config.json asks for another.
Status require_text(const Json& config, std::string_view key, std::string_view expected);
Status require_false(const Json& config, std::string_view key);
Status require_true(const Json& config, std::string_view key, bool fallback);

}  // namespace hearth::convert
