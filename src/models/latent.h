// Multi-head latent attention (DeepSeek-AI 2024, "DeepSeek-V2", 2.1): keys and values of all heads are products with
// one short vector a token, and only that is cached, with a part of the key that rotates. The products move to where
// they are made once a row: into the queries, and behind the sum over the cache, so that the cache is read as it is.
#pragma once

#include "models/transformer.h"

namespace hearth::models {

// What a layer's attention takes of the scratch and of the operand, for each row.
uint32_t latent_scratch_width(const Spec& spec);
uint64_t latent_operand_bytes(const device::Sizing& sizing, const Spec& spec, const LatentWeights& weights);

// Weights of the projections; not the norm before, nor the projection behind.
Status read_latent(TensorReader& reader, const Spec& spec, const std::string& block, LatentWeights* weights);

// x += attention of a layer.
void latent_attention(const DeviceStep& step, uint32_t layer, const device::CacheLayer& cache);

}  // namespace hearth::models
