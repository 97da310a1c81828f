// NVIDIA's management library, loaded at run time. It tells what CUDA does not: other processes and their memory,
// clocks, sensors, PCIe links. It is never needed: where it is absent or broken its facts are unknown. Members are
// the functions of nvml_api.def; any but the first three may be null.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/result.h"
#include "driver/library.h"
#include "driver/nvml_abi.h"

namespace hearth::driver {

struct Nvml {
  static constexpr const char* kLibrary = "libnvidia-ml.so.1";
  static constexpr std::chrono::seconds kPatience{30};

#define NVML_FUNCTION(name, symbol, parameters) nvmlReturn_t(*name) parameters = nullptr;
#define NVML_TEXT_FUNCTION(name, symbol, parameters) const char*(*name)parameters = nullptr;
#include "driver/nvml_api.def"

  // The library of this process, loaded and initialised once; it stays until the process ends. A failure is not
  // remembered. Safe from any thread. Errors: kNoDevice, with cause and remedy.
  static Result<const Nvml*> open();
  // The same for any library, not remembered: for tests.
  // `answered`: gets what nvmlInit() answered; untouched if it was not reached.
  static Result<std::unique_ptr<const Nvml>> load(const std::string& path, std::chrono::milliseconds patience,
                                                  nvmlReturn_t* answered = nullptr);

 private:
  Library handle_;
};

std::string describe(nvmlReturn_t code);  // "cause; remedy" of what nvmlInit() may answer; any code has words
// "slowed down by heat (hardware), power limit"; empty if nothing but idleness holds the clocks down.
std::string describe_throttle(unsigned long long reasons);

}  // namespace hearth::driver
