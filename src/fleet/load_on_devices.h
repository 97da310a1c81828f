// Loads a model where the policy wants it, and says why where it cannot be there.
#pragma once

#include "base/result.h"
#include "fleet/load_model.h"

namespace hearth::fleet {

// Of the model's file; `load` with context and cache. Fills in `placed` and `read_duration`. Errors: those of
// PlacedModel::load(); kNoMemory with needed and available, before anything is read; with GpuPolicy::kRequire kRefused.
Status load_on_devices(const ModelOptions& options, const models::LoadOptions& load, const LoadObserver& observer,
                       LoadedModel& loaded);

}  // namespace hearth::fleet
