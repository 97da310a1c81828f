// What a model takes on one kind of device, shard by shard, without loading it.
#pragma once

#include "base/result.h"
#include "device/device.h"
#include "gguf/file.h"
#include "gguf/quantization_recipe.h"
#include "models/load_options.h"
#include "models/spec.h"
#include "models/weights.h"
#include "placement/plan.h"

namespace hearth::models {

// What is decided before anything is allocated.
struct LoadPlan {
  Spec spec;
  LoadOptions options;       // zeros filled in
  device::CacheShape cache;  // of the layers with attention
  uint32_t page_group = 1;   // pages that a sequence has all or none of: they share the states of recurrent layers
  device::StepShape most;    // the largest step
  Weights weights;           // in the file: formats and shapes
};

// What a layer caches, and how many of it a model has: pages, states, or nothing.
device::CacheShape cache_of(const LoadPlan& load_plan, uint32_t layer);
uint32_t cache_count(const LoadPlan& load_plan, uint32_t layer);

// Errors: kInvalidData (missing tensor or wrong shape: names it, found and expected), kUnsupported, kUsage
// (context larger than the model's, batches that are too large). `recipe`: as if the weights were quantised so.
Result<LoadPlan> plan_load(const gguf::File& file, const LoadOptions& options,
                           const gguf::QuantizationRecipe* recipe = nullptr);

// Bytes of every shard on a device of this kind; those of weights that are read in the file count too.
// Errors: those of Sizing::supports(), kUsage (more pages than any memory holds).
Result<placement::ModelSizes> measure(const gguf::File& file, const LoadPlan& load_plan, const device::Sizing& sizing,
                                      const gguf::QuantizationRecipe* recipe = nullptr);

}  // namespace hearth::models
