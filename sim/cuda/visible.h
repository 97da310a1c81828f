// Which of the machine's devices a process sees: CUDA_VISIBLE_DEVICES, as NVIDIA documents it
// (https://docs.nvidia.com/cuda/cuda-programming-guide/05-appendices/environment-variables.html). NVML does not heed
// it.
#pragma once

#include <vector>

#include "sim/machine/profile.h"

namespace hearth::sim::cuda {

struct VisibleDevices {
  std::vector<DeviceProfile> devices;  // as CUDA counts them
  std::vector<int> on_machine;         // the place of each among all
};

// `list`: indices, or UUIDs of which a beginning is enough that no other device shares; the first entry that is no
// device's ends it. A device that is named twice hides all. Null: all are visible.
VisibleDevices visible_devices(const std::vector<DeviceProfile>& all, const char* list);

}  // namespace hearth::sim::cuda
