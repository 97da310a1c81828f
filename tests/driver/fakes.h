// The fake libraries of fake/, and an environment variable for as long as a test needs it.
#pragma once

#include <chrono>
#include <cstdlib>
#include <string>

namespace hearth::driver {

inline const std::string kFakeCuda = HEARTH_FAKE_CUDA;                       // complete
inline const std::string kFakeCudaIncomplete = HEARTH_FAKE_CUDA_INCOMPLETE;  // without cuMemSetAccess
inline const std::string kFakeNvml = HEARTH_FAKE_NVML;
inline const std::string kFakeNvmlIncomplete = HEARTH_FAKE_NVML_INCOMPLETE;  // without nvmlDeviceGetCount_v2

inline constexpr std::chrono::hours kForever{1};  // patience with a library that answers, however busy the machine is

class Environment {
 public:
  Environment(const char* name, const std::string& value) : name_(name) { ::setenv(name, value.c_str(), 1); }
  Environment(const Environment&) = delete;
  ~Environment() { ::unsetenv(name_); }

 private:
  const char* name_;
};

}  // namespace hearth::driver
