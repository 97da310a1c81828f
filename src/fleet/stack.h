// Models that are to be loaded together: measured, planned on a machine, and told of.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "gguf/file.h"
#include "placement/offers.h"

namespace hearth::fleet {

struct StackWish {
  std::string name;
  std::shared_ptr<const gguf::File> file;
  placement::ServingOptions serving = {};  // a context beyond what the model was trained for is cut to that
};

// For people: a line for each model and each device, and what would help where not all fit. `devices`: GPUs, then the
// host. Errors: those of models::plan_load() and measure().
Result<std::vector<std::string>> stack_report(const std::vector<StackWish>& wishes,
                                              const std::vector<placement::DeviceState>& devices);

}  // namespace hearth::fleet
