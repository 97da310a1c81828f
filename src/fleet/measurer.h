// What a model takes on GPUs and the host for any serving options: what plans and offers are made from.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "cuda/sizing.h"
#include "device/device.h"
#include "gguf/file.h"
#include "models/load_options.h"
#include "placement/offers.h"

namespace hearth::fleet {

// Quantisations that are offered when a model is too large, the best first.
const std::vector<std::string>& offered_recipes();

class Measurer {
 public:
  // `load`: what the serving options leave open. `host` must outlive it.
  Measurer(std::shared_ptr<const gguf::File> file, size_t gpus, const device::Sizing& host, models::LoadOptions load)
      : file_(std::move(file)), gpus_(gpus), host_(host), load_(std::move(load)) {}

  // One per GPU and the host's. Errors: those of models::plan_load() and measure().
  Result<std::vector<placement::ModelSizes>> measure(const placement::ServingOptions& serving) const;
  // Options that cannot be had (a head size that q8_0 does not divide) need more than any device has. Must not outlive
  // this object.
  placement::Measure function() const;

 private:
  const std::shared_ptr<const gguf::File> file_;
  const size_t gpus_;
  const device::Sizing& host_;
  const models::LoadOptions load_;
  const cuda::CudaSizing cuda_;
};

}  // namespace hearth::fleet
