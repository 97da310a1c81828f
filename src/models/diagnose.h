// Where a forward pass that gave numbers which are not finite went wrong.
#pragma once

#include "models/measure.h"
#include "models/shards.h"

namespace hearth::models {

// Runs a batch stage by stage, with the same pages, and names the first stage after which the residual stream
// has numbers that are not finite, and the tensor there that is to blame, if one is. kInvalidData, or what a device
// says. It takes several times as long as the step did and reads weights in the file: for failures only.
Error diagnose(const LoadPlan& load_plan, const Shards& shards, const device::Batch& batch);

}  // namespace hearth::models
