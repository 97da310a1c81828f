// A residual of several streams, of which a layer works in one (Baykal et al. 2023, "Alternating Updates for Efficient
// Transformers"; Google 2025, "Gemma 3n"). Before a layer each stream is predicted of all, behind it each takes its
// part of what the layer has changed. The layer itself works in an array of its own, behind the streams, with a product
// of low rank beside attention (LAuReL; Menghani et al. 2024, "Learned Augmented Residual Layer"), and the inputs that
// it has of its own go into all streams but the first.
#pragma once

#include "models/transformer.h"

namespace hearth::models {

uint32_t streams_scratch_width(const Spec& spec);
uint64_t streams_operand_bytes(const device::Sizing& sizing, const Spec& spec, const Weights& weights);

// What makes the streams of an embedding, and the sum of them; and a layer's part.
Status read_streams_in(TensorReader& reader, const Spec& spec, Weights* weights);
Status read_streams_out(TensorReader& reader, const Spec& spec, Weights* weights);
Status read_streams(TensorReader& reader, const Spec& spec, const std::string& block, StreamWeights* weights);

// x becomes the first of the streams, and their sum again.
void spread_streams(const DeviceStep& step);
void join_streams(const DeviceStep& step);

// What a layer works in, in place of x.
Workspace inner_workspace(const DeviceStep& step);
// Before attention, between it and the feed-forward, and behind that.
void predict_streams(const DeviceStep& step, uint32_t layer);
void add_side_product(const DeviceStep& step, uint32_t layer);
void correct_streams(const DeviceStep& step, uint32_t layer);

}  // namespace hearth::models
