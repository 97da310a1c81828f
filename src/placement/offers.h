// What would make a model fit wholly on the GPUs, computed before any layer is given up: each offer is the
// mildest change of its kind that is enough, with numbers.
#pragma once

#include <optional>

#include "placement/plan.h"

namespace hearth::placement {

// How a model is to be served, as far as its memory depends on it.
struct ServingOptions {
  uint32_t context = 4096;  // tokens of one sequence
  uint32_t parallel = 1;    // sequences at the same time, each with that context
  std::string kv_type = "f16";
  std::string recipe = {};  // quantisation of the weights; empty: as in the file
  PlanOptions plan = {};
};

// The sizes of a model that is served so, one per device. Less context, fewer sequences and a smaller cache
// type never take more.
using Measure = std::function<std::vector<ModelSizes>(const ServingOptions&)>;

// The smallest context that is offered, and the steps in which it is.
inline constexpr uint32_t kLeastContext_tokens = 1024, kContextStep_tokens = 256;

struct Offer {
  std::string text;            // "--ctx 2048 instead of 4096 saves 0.25 GiB: 33/33 layers on the GPU"
  ServingOptions serving;      // with which the plan is made
  std::vector<Process> close;  // that must go first
  uint32_t device = 0;         // on which they are
  uint64_t saves_bytes = 0;    // less needed, or freed
  Plan plan;                   // what it leads to
};

// Empty if the plan is whole as it is, or if there is no GPU. `recipes`: quantisations that may be offered, the
// best first, of which only those are that make the model smaller. Two changes are offered together only where neither
// is enough alone. What does not make the plan whole is offered only if it is about processes to close, and gains
// layers.
std::vector<Offer> offers(const Measure& measure, std::span<const DeviceState> devices, const ServingOptions& serving,
                          std::span<const std::string> recipes);

// Likewise, what would make the host's part fit in what is free there, whatever lies on GPUs.
std::vector<Offer> offers_to_fit_host(const Measure& measure, std::span<const DeviceState> devices,
                                      const ServingOptions& serving, std::span<const std::string> recipes);

// Bytes of free memory on the first GPU that are missing for a whole plan; nothing if its total is too small.
std::optional<uint64_t> shortfall(std::span<const ModelSizes> sizes, std::span<const DeviceState> devices,
                                  const PlanOptions& options);

}  // namespace hearth::placement
