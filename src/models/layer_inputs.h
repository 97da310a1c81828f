// Inputs that each layer has of its own (Gemma 3n, small Gemma 4): a table gives a token some numbers for every layer,
// and a projection of the token's embedding is added to them. A layer lets a gate on what it makes multiply its part,
// and adds a projection of that. They lie behind the residual stream (residual_width()): rows of `layers *
// layer_inputs` numbers.
#pragma once

#include "models/transformer.h"

namespace hearth::models {

uint32_t layer_inputs_scratch_width(const Spec& spec);
uint64_t layer_inputs_operand_bytes(const device::Sizing& sizing, const Spec& spec, const Weights& weights);

// The table and the projection, which lie where the embedding does; and a layer's part.
Status read_layer_table(TensorReader& reader, const Spec& spec, Weights* weights);
Status read_layer_inputs(TensorReader& reader, const Spec& spec, const std::string& block, LayerInputWeights* weights);

// Makes the inputs of all layers of what stands in x.
void make_layer_inputs(const DeviceStep& step);
// What a layer adds behind its feed-forward, before the last norm: rows of `width` in the scratch. `in`: what the gate
// reads.
const float* layer_input(const DeviceStep& step, uint32_t layer, const device::Operand& in);
// x += that, of x.
void add_layer_input(const DeviceStep& step, uint32_t layer);

}  // namespace hearth::models
