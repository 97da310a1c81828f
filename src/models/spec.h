// Dimensions and behaviours of one model, read from its metadata by its architecture's file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "device/types.h"

namespace hearth::models {

inline constexpr uint32_t kNo_rope = UINT32_MAX, kOwn_cache = UINT32_MAX;

// What a layer has before its feed-forward. kNone: nothing.
enum class Mixer { kAttention, kConvolution, kStateSpace, kDeltaNet, kNone };

// Of the layers that keep a state (models/recurrent.h).
struct Recurrent {
  uint32_t taps = 0, channels = 0;                             // of the convolution
  uint32_t heads = 0, groups = 0, key_dim = 0, value_dim = 0;  // of the scan; without heads there is none
  bool interleaved = false;                                    // see device::ScanArgs
  float epsilon = 0;                                           // of the norms within

  uint32_t inner() const { return heads * value_dim; }
  uint32_t keys() const { return groups * key_dim; }
  uint32_t kept() const { return taps == 0 ? 0 : (taps - 1) * channels; }  // numbers of the convolution in the state
  uint32_t state() const { return kept() + heads * value_dim * key_dim; }
};

// Of the heads of keys and values, as cached.
struct HeadSizes {
  uint32_t kv_heads = 0, key_dim = 0, value_dim = 0;
};

// What may differ from layer to layer.
struct LayerSpec {
  Mixer mixer = Mixer::kAttention;
  bool feed_forward = true;
  uint32_t window = 0;              // sliding window in tokens; 0: full attention
  bool chunked = false;             // a window that begins at its multiples
  uint32_t rope = 0;                // index into Spec::ropes, or kNo_rope
  device::QueryGrowth growth = {};  // of the queries with their position
  HeadSizes heads = {};             // where they are not the Spec's, which are at least as large; zeros: they are
  uint32_t cache = kOwn_cache;      // else the layer before it whose keys and values it reads, without any of its own
  uint32_t feed_forward_width = 0;  // where it is not the Spec's feed_forward, which is at least as large; 0: it is
  float gate_deviations = 0;        // gates of the feed-forward count from so many above their mean on; 0: all do
};

// kWhole: all heads of a row at once. kPlainAfterRotation: without weights, in layers that rotate.
enum class QkNorm { kNone, kPerHead, kPerHeadAfterRotation, kPlainAfterRotation, kWhole };

// Of latent attention (models/latent.h). Heads have keys of key + rope numbers, of which the last rotate.
struct Latent {
  uint32_t rank = 0;  // of the vector that is cached; 0: ordinary attention
  uint32_t rope = 0, key = 0, value = 0;
  uint32_t query_rank = 0;  // of what the queries are made of; 0: of x itself
};

// Of a residual of several streams (models/streams.h).
struct Streams {
  uint32_t count = 1;
  uint32_t side_rank = 0;  // of the product that stands beside attention
};

struct Spec {
  std::string architecture;
  uint32_t context = 0;  // that it was trained for
  uint32_t layers = 0, width = 0, feed_forward = 0, vocabulary = 0;
  uint32_t heads = 0, kv_heads = 0, key_dim = 0, value_dim = 0;  // as cached
  Latent latent;
  Recurrent recurrent;
  Streams streams;
  uint32_t layer_inputs = 0;  // numbers of each token that every layer has of its own (models/layer_inputs.h); 0: none
  bool norm_values = false;  // the values' heads, without weights; of layers without values: of their keys as they come
  bool attention_gate = false;  // the queries' projection gives a gate on each head's result behind each query
  uint32_t experts = 0, experts_used = 0, expert_feed_forward = 0;
  bool normalise_experts = true;
  float expert_scale = 1;
  device::Gating expert_gating = device::Gating::kSoftmax;
  uint32_t expert_groups = 1, expert_groups_used = 1;
  bool weigh_expert_inputs = false;
  uint32_t expert_width = 0;  // of what experts read and write, if not `width`: projections lead there and back
  bool dense_beside_experts =
      false;  // each with norms of its own before and behind, and a router that reads x (Gemma 4)
  uint32_t shared_feed_forward = 0;  // of the expert that every token uses; 0: none

  device::NormKind norm = device::NormKind::kRms;
  float norm_epsilon = 1e-5f;
  device::Activation activation = device::Activation::kSilu;
  bool gated = true;               // feed-forward with a gate
  bool expert_gate_in_up = false;  // the same of the experts
  bool gate_in_up = false;         // ffn_up holds the gate's rows, then its own
  QkNorm qk_norm = QkNorm::kNone;  // RMS norm of queries and keys
  bool pre_norms = true;           // norms on what attention and feed-forward read
  bool post_norms = false;         // norms on the results of attention and feed-forward
  bool norms_on_sums = false;      // norms on the residual stream behind either, and none before the output
  bool side_by_side = false;       // attention and feed-forward read the same x, and both are added to it
  bool learned_positions = false;  // a table of position embeddings instead of rope
  uint32_t embedding_width = 0;    // of the tables of tokens, if not `width`: projections lead in and out
  float embedding_scale = 1;
  bool scales_embedded = false;        // also rows that come in place of tokens
  bool ahead_in_windows_only = false;  // rows that see further than to themselves do so in layers with a window only
  float logit_scale = 1;
  float attention_scale = 1;
  float attention_soft_cap = 0, logit_soft_cap = 0;
  std::vector<device::Rope> ropes;
  std::vector<LayerSpec> per_layer;  // `layers` entries

  // Tensors that the loader leaves alone: read already by the architecture, or not needed for text.
  // A name that ends in '.' stands for all names that begin so.
  std::vector<std::string> other_tensors;
};

// Of the tables of tokens.
inline uint32_t table_width(const Spec& spec) {
  return spec.embedding_width != 0 ? spec.embedding_width : spec.width;
}

inline bool keeps_state(Mixer mixer) {
  return mixer != Mixer::kAttention && mixer != Mixer::kNone;
}

inline HeadSizes heads_of(const Spec& spec, uint32_t layer) {
  const HeadSizes& own = spec.per_layer[layer].heads;
  return own.kv_heads != 0 ? own : HeadSizes{spec.kv_heads, spec.key_dim, spec.value_dim};
}

inline uint32_t feed_forward_of(const Spec& spec, uint32_t layer) {
  const uint32_t own = spec.per_layer[layer].feed_forward_width;
  return own != 0 ? own : spec.feed_forward;
}

// The layer whose cache this one reads: itself, but for those that share.
inline uint32_t cache_layer_of(const Spec& spec, uint32_t layer) {
  const uint32_t other = spec.per_layer[layer].cache;
  return other != kOwn_cache ? other : layer;
}

// What goes from layer to layer, for each row: the residual stream; where there are several, these and one that layers
// work in; the inputs of all layers.
inline uint64_t residual_width(const Spec& spec) {
  const uint64_t arrays = spec.streams.count > 1 ? spec.streams.count + 1 : 1;
  return arrays * spec.width + uint64_t{spec.layers} * spec.layer_inputs;
}

// What the projection behind attention reads.
inline uint32_t attention_output_width(const Spec& spec, uint32_t layer) {
  return spec.heads * (spec.latent.rank != 0 ? spec.latent.value : heads_of(spec, layer).value_dim);
}

}  // namespace hearth::models
