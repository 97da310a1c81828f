// What lies where if a model is loaded, and what would make it fit: before anything is loaded.
#pragma once

#include <optional>
#include <vector>

#include "fleet/measurer.h"
#include "placement/offers.h"

namespace hearth::fleet {

struct PlannedModel {
  placement::ServingOptions serving;  // with the context that it can have
  placement::Plan plan;
  std::vector<placement::Offer> offers;  // where it is not whole
  std::optional<uint64_t> missing;       // free memory that the first GPU lacks; see placement::shortfall()
};

// On `devices`, GPUs and then the host. Errors: those of models::plan_load() and measure().
Result<PlannedModel> plan_model(const std::shared_ptr<const gguf::File>& file,
                                const std::vector<placement::DeviceState>& devices, placement::ServingOptions serving);

}  // namespace hearth::fleet
