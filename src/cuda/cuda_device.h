// NVIDIA GPUs as devices, through the CUDA driver alone.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "device/device.h"

namespace hearth::cuda {

// How the kernels came to run: machine code from this binary, or PTX that the driver compiled.
struct KernelReport {
  uint32_t machine_code = 0, ptx = 0;  // files of kernels
  float compile_ms = 0;                // spent by the driver's compiler (near 0 when its cache had them)
  std::string refused;                 // why machine code that fits was not taken; empty if it was

  std::string text() const;  // "machine code" or "PTX, compiled by the driver in 1234 ms"
};

struct CudaOptions {
  int ordinal = 0;     // as the driver counts
  bool graphs = true;  // replay equal steps as CUDA graphs
};

// Errors: those of driver::Cuda::open() and of a start-up; kUnsupported: a GPU older than compute capability 7.5,
// without virtual memory management, or kernels that the driver does not take; also "this build has no CUDA
// kernels (nvcc was not found when hearth was built)". A context that an earlier error has broken is rebuilt: the
// devices and buffers made in it must be gone.
Result<std::unique_ptr<device::Device>> create_device(const CudaOptions& options, KernelReport* report = nullptr);

// False if nvcc was not found when hearth was built.
bool has_kernels();

}  // namespace hearth::cuda
