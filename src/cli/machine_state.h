// GPUs and host memory as plans want them: of this machine, of a GPU that people know by name, or of a machine that a
// file describes.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "placement/plan.h"

namespace hearth::cli {

// GPUs, then the host. `gpu`: empty: this machine; the path of a JSON file in the form of the simulator's profiles;
// else a name, of which kUsage lists those that are known. Errors: kInvalidData (the file), kUnsupported (too old).
Result<std::vector<placement::DeviceState>> machine_state(const std::string& gpu);

}  // namespace hearth::cli
