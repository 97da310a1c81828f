// GPUs and host memory of this machine as plans want them.
#pragma once

#include <vector>

#include "base/result.h"
#include "cuda/cuda_device.h"
#include "placement/plan.h"

namespace hearth::fleet {

// GPUs, then the host, as the load of a model would find them: with the GPUs open, so that context and kernels have
// taken their memory.
Result<std::vector<placement::DeviceState>> this_machine(const cuda::CompileProgress& compiling = {});

placement::DeviceState host_state();

// Adds the processes that NVML sees on the GPUs of this machine, by the driver's numbers.
void add_processes(std::vector<placement::DeviceState>& states);

}  // namespace hearth::fleet
