// Dimensions and behaviours of one model, read from its metadata by its architecture's file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "device/types.h"

namespace hearth::models {

// What may differ from layer to layer.
struct LayerSpec {
  uint32_t window = 0;  // sliding window in tokens; 0: full attention
  uint32_t rope = 0;    // index into Spec::ropes
};

struct Spec {
  std::string architecture;
  uint32_t context = 0;  // that it was trained for
  uint32_t layers = 0, width = 0, feed_forward = 0, vocabulary = 0;
  uint32_t heads = 0, kv_heads = 0, key_dim = 0, value_dim = 0;
  uint32_t experts = 0, experts_used = 0, expert_feed_forward = 0;
  bool normalise_experts = true;
  float expert_scale = 1;

  device::NormKind norm = device::NormKind::kRms;
  float norm_epsilon = 1e-5f;
  device::Activation activation = device::Activation::kSilu;
  bool gated = true;               // feed-forward with a gate
  bool gate_in_up = false;         // ffn_up holds the gate's rows, then its own
  bool qk_norm = false;            // RMS norm of every query and key head
  bool post_norms = false;         // norms on the results of attention and feed-forward
  bool learned_positions = false;  // a table of position embeddings instead of rope
  float embedding_scale = 1;
  float attention_scale = 1;
  float attention_soft_cap = 0, logit_soft_cap = 0;
  std::vector<device::Rope> ropes;
  std::vector<LayerSpec> per_layer;  // `layers` entries

  // Tensors that the loader leaves alone: read already by the architecture, or not needed for text.
  // A name that ends in '.' stands for all names that begin so.
  std::vector<std::string> other_tensors;
};

}  // namespace hearth::models
