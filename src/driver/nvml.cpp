#include "driver/nvml.h"

#include <algorithm>
#include <iterator>
#include <mutex>

#include "base/error.h"
#include "driver/patience.h"

namespace hearth::driver {
namespace {

struct Words {
  nvmlReturn_t code;
  const char* text;
};

constexpr Words kWords[] = {
    {NVML_SUCCESS, "no error"},
    {NVML_ERROR_NO_PERMISSION, "this user may not open the GPU's device files; give it the group of /dev/nvidiactl"},
    {NVML_ERROR_DRIVER_NOT_LOADED,
     "NVIDIA's kernel module is not loaded; run \"sudo modprobe nvidia\" or install the driver again"},
    {NVML_ERROR_LIBRARY_NOT_FOUND, "a library of the NVIDIA driver is missing; reinstall the driver"},
    {NVML_ERROR_FUNCTION_NOT_FOUND, "NVML is older than the rest of the driver; reinstall the driver"},
    {NVML_ERROR_GPU_IS_LOST,
     "a GPU fell off the bus; reboot, and check its power cables, cooling and seat if it comes again"},
    {NVML_ERROR_RESET_REQUIRED, "a GPU needs a reset; run \"sudo nvidia-smi --gpu-reset\" or reboot"},
    {NVML_ERROR_OPERATING_SYSTEM,
     "the operating system or a container's rules block the GPU's device files; create the container anew"},
    {NVML_ERROR_LIB_RM_VERSION_MISMATCH,
     "NVML and NVIDIA's kernel module have different versions, mostly after an update; reboot"},
    {NVML_ERROR_GPU_NOT_FOUND, "there is no GPU that the driver can use; see \"nvidia-smi\""},
    {NVML_ERROR_UNKNOWN,
     "NVML failed and does not know why; in a container create it anew, else reboot if nvidia-smi fails too"},
};

struct Reason {
  unsigned long long bit;
  const char* text;
};

constexpr Reason kReasons[] = {
    {nvmlClocksThrottleReasonHwThermalSlowdown, "heat (hardware slowdown)"},
    {nvmlClocksThrottleReasonSwThermalSlowdown, "heat"},
    {nvmlClocksThrottleReasonHwPowerBrakeSlowdown, "power brake (power supply)"},
    {nvmlClocksThrottleReasonHwSlowdown, "hardware slowdown"},
    {nvmlClocksThrottleReasonSwPowerCap, "power limit"},
    {nvmlClocksThrottleReasonApplicationsClocksSetting, "clocks set by an administrator"},
    {nvmlClocksThrottleReasonSyncBoost, "synchronised with another GPU"},
    {nvmlClocksThrottleReasonDisplayClockSetting, "display clock"},
};

// The first three functions of the table are those that nothing works without.
bool resolve(const Library& library, Nvml& nvml) {
#define NVML_FUNCTION(name, symbol, parameters) \
  nvml.name = reinterpret_cast<decltype(nvml.name)>(library.find(#symbol));
#define NVML_TEXT_FUNCTION NVML_FUNCTION
#include "driver/nvml_api.def"
  return nvml.nvmlInit != nullptr && nvml.nvmlShutdown != nullptr && nvml.nvmlDeviceGetCount != nullptr;
}

}  // namespace

Result<std::unique_ptr<const Nvml>> Nvml::load(const std::string& path, std::chrono::milliseconds patience,
                                               nvmlReturn_t* answered) {
  auto nvml = std::make_unique<Nvml>();
  std::string loader_says;
  if (!nvml->handle_.open(path, loader_says)) {
    return error(ErrorKind::kNoDevice, "NVML cannot be loaded ({}); it comes with the NVIDIA driver", loader_says);
  }
  if (!resolve(nvml->handle_, *nvml)) {
    return error(ErrorKind::kNoDevice, "{} is not a complete NVML; reinstall the NVIDIA driver", nvml->handle_.file());
  }
  nvml->handle_.keep();
  const auto result = with_patience(patience, [init = nvml->nvmlInit] { return init(); });
  if (!result) {
    return error(ErrorKind::kNoDevice, "NVML did not answer within {} s; look for Xid in the kernel log and reboot",
                 std::chrono::duration<double>(patience).count());
  }
  if (answered != nullptr) *answered = *result;
  if (*result != NVML_SUCCESS) return Error{ErrorKind::kNoDevice, describe(*result)};
  return std::unique_ptr<const Nvml>(std::move(nvml));
}

Result<const Nvml*> Nvml::open() {
  static std::mutex mutex;
  static const Nvml* loaded = nullptr;  // never freed: threads may use it until the process has ended
  const std::lock_guard lock(mutex);
  if (loaded == nullptr) {
    ASSIGN_OR_RETURN(auto nvml, load(kLibrary, kPatience));
    loaded = nvml.release();
  }
  return loaded;
}

std::string describe(nvmlReturn_t code) {
  const auto* words = std::ranges::find(kWords, code, &Words::code);
  if (words != std::end(kWords)) return words->text;
  return fmt::format("NVML answered error {}; compare with what nvidia-smi says", static_cast<int>(code));
}

std::string describe_throttle(unsigned long long reasons) {
  std::string text;
  for (const Reason& reason : kReasons) {
    if ((reasons & reason.bit) != 0) text += (text.empty() ? "" : ", ") + std::string(reason.text);
  }
  return text;
}

}  // namespace hearth::driver
