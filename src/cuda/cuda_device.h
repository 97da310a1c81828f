// NVIDIA GPUs as devices, through the CUDA driver alone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "device/device.h"

namespace hearth::cuda {

// Told some ten times a second while the driver compiles kernels, which it does where it takes none of the machine code
// in this binary: how many of the files of kernels that are wanted now are there. On the thread that waits for them, in
// create_device() or in a call of the device that loads weights or reserves memory. `done == total` is the last call.
using CompileProgress = std::function<void(uint32_t done, uint32_t total)>;

struct CudaOptions {
  int ordinal = 0;                // as the driver counts
  bool graphs = true;             // replay equal steps as CUDA graphs
  std::string holder = "hearth";  // in the ledger of the card: whose memory it is
  CompileProgress compiling = {};
};

// Errors: those of driver::Cuda::open() and of a start-up; kUnsupported: a GPU older than compute capability 7.5,
// or kernels that the driver does not take; also "this build has no CUDA
// kernels (nvcc was not found when hearth was built)". All devices of one card share its context, and are lost
// together. The next one is made in a new context, for which it waits until those that were lost are gone; kDeviceLost
// naming whose they are if they stay for half a minute.
Result<std::unique_ptr<device::Device>> create_device(const CudaOptions& options);

// False if nvcc was not found when hearth was built.
bool has_kernels();

}  // namespace hearth::cuda
