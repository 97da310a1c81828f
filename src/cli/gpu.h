// The policy of --gpu, and the search for a GPU that it can be applied to.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "device/device.h"

namespace hearth::cli {

enum class GpuPolicy {
  kAuto,     // a GPU if there is one that can be used; if not, the CPU, and say why
  kRequire,  // wholly on a GPU, or fail
  kOff,      // the CPU
};
GpuPolicy gpu_policy(const std::string& name);  // of a checked --gpu

// Why a GPU is not used, in parts that a status shows.
struct GpuProblem {
  std::string cause, remedy;
  bool noteworthy = true;  // false: nothing on this machine hints at a GPU
};

struct GpuSearch {
  std::unique_ptr<device::Device> device;  // null if none can be used, for `problem`
  GpuProblem problem;
};
// Opens the GPU with the most memory of those that can be used. May take seconds (the driver wakes the GPU), at
// most a minute or so where the driver does not answer.
GpuSearch find_gpu();

// An error of a device or the driver in parts: the words before and after the first "; ".
GpuProblem gpu_problem(const Error& error);
// Whether it is the GPU that failed, so that the CPU may still do it; false for a bad model or option.
bool is_gpu_fault(const Error& error);
// For --gpu require: the kind with exit code 3.
Error refused(const GpuProblem& problem);

}  // namespace hearth::cli
