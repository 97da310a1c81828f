// Whether GPUs are to be used (--gpu), and the search for those that can be.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cuda/cuda_device.h"
#include "engine/placed_model.h"

namespace hearth::fleet {

enum class GpuPolicy {
  kAuto,     // GPUs as far as they can be used; where not, the CPU, and say why
  kRequire,  // wholly on GPUs, or fail
  kOff,      // the CPU
};
GpuPolicy gpu_policy(const std::string& name);  // of a checked "auto", "require" or "off"

struct GpuSearch {
  std::vector<engine::DeviceFactory> gpus;  // those that can be used, in the driver's order, which may hide some
  Cause problem;                            // why there are none
};
// Opens every GPU; a factory's first call gives the one that is open, later ones open it again. A GPU that cannot be
// used while others can is a warning in the log. `holder`: whose memory it is that they take, for the cards' ledgers.
// May take seconds (the driver wakes the GPU), at most a minute or so where the driver does not answer. `compiling`: of
// all of them, as long as they live.
GpuSearch find_gpus(const cuda::CompileProgress& compiling = {}, const std::string& holder = "hearth");

// All models of this process share its cards.
std::shared_ptr<engine::CardBook> card_book();

// Whether it is the GPU that failed, so that the CPU may still do it; false for a bad model or option.
bool is_gpu_fault(const Error& error);
// For --gpu require: the kind with exit code 3.
Error refused(const Cause& problem);

}  // namespace hearth::fleet
