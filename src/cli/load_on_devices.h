// Loads a model where --gpu wants it, and says why where it cannot be there.
#pragma once

#include "base/result.h"
#include "cli/model_options.h"

namespace hearth::cli {

// Of the model's file; `load` with context and cache. Fills in `placed` and `read_duration`. Errors: those of
// PlacedModel::load(); kNoMemory with needed and available, before anything is read; with --gpu require kRefused.
Status load_on_devices(const ModelOptions& options, const models::LoadOptions& load, LoadedModel& loaded);

}  // namespace hearth::cli
