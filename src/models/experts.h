// Feed-forward layers with experts.
#pragma once

#include "models/transformer.h"

namespace hearth::models {

// x += the experts of a layer, and the one that every token uses. `in`: x through the norm before them.
void experts(const DeviceStep& step, const LayerWeights& layer, const device::Operand& in);

// x += a norm of the sum of a dense part and of experts, each between norms of its own (Spec::dense_beside_experts).
void dense_and_experts(const DeviceStep& step, const LayerWeights& layer);

}  // namespace hearth::models
