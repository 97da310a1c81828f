// Layers that keep a state in place of keys and values: short convolutions (Liquid AI 2025, "LFM2"), state-space models
// (Dao and Gu 2024, "Transformers are SSMs", Mamba-2) and gated delta nets (Yang et al. 2024, "Gated Delta Networks").
// A state is in the cache, where it is kept at the end of each group of pages; see device::CacheLayer.
#pragma once

#include "models/metadata.h"
#include "models/transformer.h"

namespace hearth::models {

// The sizes of state-space models and delta nets, which have the same keys: ssm.*.
Status read_scan_sizes(const Metadata& keys, Spec* spec);
// How many pages share a state, so that states take no more room than keys and values, and a sequence of `context`
// tokens has several; 1 where there is no state. `page_bytes`: of one layer's keys and values.
uint32_t pages_of_state(const Spec& spec, uint64_t page_bytes, uint32_t context);

uint32_t recurrent_scratch_width(const Spec& spec);
uint64_t recurrent_operand_bytes(const device::Sizing& sizing, const Spec& spec, const RecurrentWeights& weights);

// Weights of such a layer, without the norm before it.
Status read_recurrent(TensorReader& reader, const Spec& spec, Mixer mixer, const std::string& block,
                      RecurrentWeights* weights);

// x += what the layer makes of it.
void recurrent(const DeviceStep& step, uint32_t layer, const device::CacheLayer& cache);

}  // namespace hearth::models
