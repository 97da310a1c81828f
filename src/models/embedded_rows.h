// Rows of a batch that begin as values in place of embeddings of tokens (device::EmbeddedRows).
#pragma once

#include <span>

#include "device/device.h"

namespace hearth::models {

// Puts the rows, times `scale`, into x, of `width` numbers each. Between two steps.
Status put_embedded(std::span<const device::EmbeddedRows> parts, float scale, uint32_t width, device::Device& device,
                    float* x);

// Whether something is to be added behind this layer.
bool has_deep(std::span<const device::EmbeddedRows> parts, uint32_t layer);
// Adds the features that belong behind this layer (Meng et al. 2024, "DeepStack"). Likewise.
Status add_deep(std::span<const device::EmbeddedRows> parts, uint32_t layer, uint32_t width, device::Device& device,
                float* x);

}  // namespace hearth::models
