// The CUDA driver, loaded at run time: libcuda.so.1 is the only thing that hearth needs from NVIDIA. Members are
// the functions of cuda_api.def, to be called like functions: cuda.cuMemAlloc(&address, bytes).
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/result.h"
#include "driver/cuda_abi.h"
#include "driver/errors.h"
#include "driver/library.h"

namespace hearth::driver {

inline constexpr int kOldestCuda = 12000;  // what cuDriverGetVersion() says of driver 525: CUDA 12.0

struct Cuda {
  static constexpr const char* kLibrary = "libcuda.so.1";
  // Initialising can take many seconds on a machine with many GPUs without persistence mode; a driver that does
  // not answer at all must not make hearth hang.
  static constexpr std::chrono::seconds kPatience{60};

#define CUDA_FUNCTION(name, symbol, parameters) CUresult(*name) parameters = nullptr;
#define CUDA_OPTIONAL CUDA_FUNCTION
#include "driver/cuda_api.def"

  int version = 0;      // 12040: CUDA 12.4, the newest that this driver supports
  std::string library;  // the file that was loaded: "/usr/lib/x86_64-linux-gnu/libcuda.so.550.54.14"

  // The driver of this process, loaded and initialised once; it stays until the process ends. A failure is not
  // remembered: the next call tries again. Safe from any thread.
  // Errors: kNoDevice, or the kind of cuInit()'s result; the same in parts in `problem`, if given.
  static Result<const Cuda*> open(Problem* problem = nullptr);

  // The same for any library, not remembered: for tests. `path` as for dlopen().
  static Result<std::unique_ptr<const Cuda>> load(const std::string& path, std::chrono::milliseconds patience,
                                                  Problem* problem = nullptr);

 private:
  Library handle_;
};

std::string cuda_version_text(int version);  // 12040 -> "12.4"
// The driver's version from the file name of its library: "550.54.14"; empty if the name has none.
std::string driver_version_of(const std::string& library);

}  // namespace hearth::driver
