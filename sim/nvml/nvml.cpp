// The simulated libnvidia-ml.so.1: the same machine that the simulated libcuda.so.1 shows. The exported functions are
// made from src/driver/nvml_api.def.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <span>
#include <string>

#include "driver/nvml_abi.h"
#include "sim/machine/machine.h"

namespace hearth::sim::nvml {
namespace {

std::mutex mutex;
int users = 0;  // nvmlInit() without its nvmlShutdown()

const Profile& profile() {
  return Machine::instance().profile();
}

// Handles are not addresses: 1 + the device's index.
nvmlDevice_t handle_of(int index) {
  return reinterpret_cast<nvmlDevice_t>(static_cast<std::uintptr_t>(index) + 1);
}

struct Target {
  nvmlReturn_t result = NVML_SUCCESS;
  int index = 0;
  const DeviceProfile* device = nullptr;
};
Target target_of(nvmlDevice_t handle) {
  const auto number = reinterpret_cast<std::uintptr_t>(handle);
  if (number == 0 || number > profile().devices.size()) return {NVML_ERROR_INVALID_ARGUMENT, 0, nullptr};
  const int index = static_cast<int>(number) - 1;
  if (Machine::instance().lost(index)) return {NVML_ERROR_GPU_IS_LOST, 0, nullptr};
  return {NVML_SUCCESS, index, &profile().devices[static_cast<std::size_t>(index)]};
}

nvmlReturn_t give_text(const std::string& text, char* out, unsigned length) {
  if (out == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  if (text.size() + 1 > length) return NVML_ERROR_INSUFFICIENT_SIZE;
  std::memcpy(out, text.c_str(), text.size() + 1);
  return NVML_SUCCESS;
}

// A sensor's number; negative: the GPU has none.
nvmlReturn_t give_sensor(nvmlDevice_t handle, int SensorProfile::*sensor, unsigned* out) {
  const Target target = target_of(handle);
  if (target.result != NVML_SUCCESS) return target.result;
  if (out == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  const int value = target.device->sensors.*sensor;
  if (value < 0) return NVML_ERROR_NOT_SUPPORTED;
  *out = static_cast<unsigned>(value);
  return NVML_SUCCESS;
}

nvmlReturn_t give_processes(nvmlDevice_t handle, bool graphics, unsigned* count, nvmlProcessInfo_t* processes) {
  const Target target = target_of(handle);
  if (target.result != NVML_SUCCESS) return target.result;
  if (count == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  const unsigned room = *count;
  unsigned found = 0;
  for (const RunningProcess& process : Machine::instance().running(target.index)) {
    if (process.graphics != graphics) continue;
    if (found < room && processes != nullptr) {
      const unsigned long long bytes =
          target.device->process_memory ? process.bytes : static_cast<unsigned long long>(NVML_VALUE_NOT_AVAILABLE);
      processes[found] = {process.pid, bytes, 0xFFFFFFFF, 0xFFFFFFFF};
    }
    ++found;
  }
  *count = found;
  return found > room ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS;
}

// Of a feature that no simulated card has.
nvmlReturn_t none_of_it(nvmlDevice_t handle) {
  const Target target = target_of(handle);
  return target.result == NVML_SUCCESS ? NVML_ERROR_NOT_SUPPORTED : target.result;
}

struct ResultText {
  nvmlReturn_t result;
  const char* text;
};
constexpr ResultText kTexts[] = {
    {NVML_SUCCESS, "Success"},
    {NVML_ERROR_UNINITIALIZED, "Uninitialized"},
    {NVML_ERROR_INVALID_ARGUMENT, "Invalid Argument"},
    {NVML_ERROR_NOT_SUPPORTED, "Not Supported"},
    {NVML_ERROR_NO_PERMISSION, "Insufficient Permissions"},
    {NVML_ERROR_ALREADY_INITIALIZED, "Already Initialized"},
    {NVML_ERROR_NOT_FOUND, "Not Found"},
    {NVML_ERROR_INSUFFICIENT_SIZE, "Insufficient Size"},
    {NVML_ERROR_INSUFFICIENT_POWER, "Insufficient External Power"},
    {NVML_ERROR_DRIVER_NOT_LOADED, "Driver Not Loaded"},
    {NVML_ERROR_TIMEOUT, "Timeout"},
    {NVML_ERROR_IRQ_ISSUE, "Interrupt Request Issue"},
    {NVML_ERROR_LIBRARY_NOT_FOUND, "NVML Shared Library Not Found"},
    {NVML_ERROR_FUNCTION_NOT_FOUND, "Function Not Found"},
    {NVML_ERROR_CORRUPTED_INFOROM, "Corrupted infoROM"},
    {NVML_ERROR_GPU_IS_LOST, "GPU is lost"},
    {NVML_ERROR_RESET_REQUIRED, "GPU requires reset"},
    {NVML_ERROR_OPERATING_SYSTEM, "GPU access blocked by the operating system"},
    {NVML_ERROR_LIB_RM_VERSION_MISMATCH, "Driver/library version mismatch"},
    {NVML_ERROR_IN_USE, "In Use"},
    {NVML_ERROR_MEMORY, "Insufficient Memory"},
    {NVML_ERROR_NO_DATA, "No data"},
    {NVML_ERROR_INSUFFICIENT_RESOURCES, "Insufficient resources"},
    {NVML_ERROR_GPU_NOT_FOUND, "GPU not found"},
};

}  // namespace

namespace api {

nvmlReturn_t nvmlInit() {
  const std::scoped_lock lock(mutex);
  Machine::instance();
  ++users;
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlShutdown() {
  const std::scoped_lock lock(mutex);
  if (users == 0) return NVML_ERROR_UNINITIALIZED;
  --users;
  return NVML_SUCCESS;
}

const char* nvmlErrorString(nvmlReturn_t result) {
  for (const ResultText& entry : kTexts) {
    if (entry.result == result) return entry.text;
  }
  return "Unknown Error";
}

nvmlReturn_t nvmlSystemGetDriverVersion(char* version, unsigned int length) {
  return give_text(profile().driver.version, version, length);
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion(int* version) {
  if (version == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  *version = profile().driver.cuda_version;
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlSystemGetProcessName(unsigned int pid, char* name, unsigned int length) {
  if (name == nullptr || length == 0) return NVML_ERROR_INVALID_ARGUMENT;
  for (std::size_t device = 0; device < profile().devices.size(); ++device) {
    for (const RunningProcess& process : Machine::instance().running(static_cast<int>(device))) {
      if (process.pid != pid) continue;
      std::snprintf(name, length, "%s", process.name.c_str());  // NVML cuts what does not fit
      return NVML_SUCCESS;
    }
  }
  return NVML_ERROR_NOT_FOUND;
}

nvmlReturn_t nvmlDeviceGetCount(unsigned int* count) {
  if (count == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  *count = static_cast<unsigned>(profile().devices.size());
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetHandleByIndex(unsigned int index, nvmlDevice_t* device) {
  if (device == nullptr || index >= profile().devices.size()) return NVML_ERROR_INVALID_ARGUMENT;
  if (Machine::instance().lost(static_cast<int>(index))) return NVML_ERROR_GPU_IS_LOST;
  *device = handle_of(static_cast<int>(index));
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetHandleByUUID(const char* uuid, nvmlDevice_t* device) {
  if (uuid == nullptr || device == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  for (std::size_t i = 0; i < profile().devices.size(); ++i) {
    if (profile().devices[i].uuid == uuid) return nvmlDeviceGetHandleByIndex(static_cast<unsigned>(i), device);
  }
  return NVML_ERROR_NOT_FOUND;
}

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char* name, unsigned int length) {
  const Target target = target_of(device);
  return target.result == NVML_SUCCESS ? give_text(target.device->name, name, length) : target.result;
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char* uuid, unsigned int length) {
  const Target target = target_of(device);
  return target.result == NVML_SUCCESS ? give_text(target.device->uuid, uuid, length) : target.result;
}

nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int* major, int* minor) {
  const Target target = target_of(device);
  if (target.result != NVML_SUCCESS) return target.result;
  if (major == nullptr || minor == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  *major = target.device->compute_capability / 10;
  *minor = target.device->compute_capability % 10;
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_v2_t* memory) {
  const Target target = target_of(device);
  if (target.result != NVML_SUCCESS) return target.result;
  if (memory == nullptr || memory->version != nvmlMemory_v2) return NVML_ERROR_INVALID_ARGUMENT;
  const Machine& machine = Machine::instance();
  memory->total = target.device->memory_bytes;
  memory->reserved = target.device->reserved_bytes;
  const unsigned long long most = memory->total - memory->reserved;
  memory->used =
      std::min<unsigned long long>(most, machine.foreign_bytes(target.index) + machine.own_bytes(target.index));
  memory->free = most - memory->used;
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t* rates) {
  const Target target = target_of(device);
  if (target.result != NVML_SUCCESS) return target.result;
  if (rates == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  const SensorProfile& sensors = target.device->sensors;
  if (sensors.utilization_gpu < 0) return NVML_ERROR_NOT_SUPPORTED;
  const bool busy = Machine::instance().busy(target.index);
  rates->gpu = busy ? 100 : static_cast<unsigned>(sensors.utilization_gpu);
  rates->memory = busy ? 80 : static_cast<unsigned>(sensors.utilization_memory);
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, nvmlTemperatureSensors_t sensor, unsigned int* celsius) {
  if (sensor != NVML_TEMPERATURE_GPU) return NVML_ERROR_INVALID_ARGUMENT;
  return give_sensor(device, &SensorProfile::temperature_c, celsius);
}

nvmlReturn_t nvmlDeviceGetPowerUsage(nvmlDevice_t device, unsigned int* milliwatts) {
  return give_sensor(device, &SensorProfile::power_mw, milliwatts);
}

nvmlReturn_t nvmlDeviceGetEnforcedPowerLimit(nvmlDevice_t device, unsigned int* milliwatts) {
  return give_sensor(device, &SensorProfile::power_limit_mw, milliwatts);
}

nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t device, nvmlClockType_t type, unsigned int* mhz) {
  if (type == NVML_CLOCK_MEM) return give_sensor(device, &SensorProfile::memory_mhz, mhz);
  if (type < NVML_CLOCK_GRAPHICS || type > NVML_CLOCK_VIDEO) return NVML_ERROR_INVALID_ARGUMENT;
  return give_sensor(device, &SensorProfile::graphics_mhz, mhz);
}

nvmlReturn_t nvmlDeviceGetMaxClockInfo(nvmlDevice_t device, nvmlClockType_t type, unsigned int* mhz) {
  const Target target = target_of(device);
  if (target.result != NVML_SUCCESS) return target.result;
  if (mhz == nullptr || type < NVML_CLOCK_GRAPHICS || type > NVML_CLOCK_VIDEO) return NVML_ERROR_INVALID_ARGUMENT;
  *mhz =
      static_cast<unsigned>(type == NVML_CLOCK_MEM ? target.device->memory_clock_khz : target.device->clock_khz) / 1000;
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetCurrentClocksThrottleReasons(nvmlDevice_t device, unsigned long long* reasons) {
  const Target target = target_of(device);
  if (target.result != NVML_SUCCESS) return target.result;
  if (reasons == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  *reasons = target.device->sensors.throttle_reasons;
  if (Machine::instance().busy(target.index)) *reasons &= ~nvmlClocksThrottleReasonGpuIdle;
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses(nvmlDevice_t device, unsigned int* count,
                                                  nvmlProcessInfo_t* processes) {
  return give_processes(device, false, count, processes);
}

nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses(nvmlDevice_t device, unsigned int* count,
                                                   nvmlProcessInfo_t* processes) {
  return give_processes(device, true, count, processes);
}

nvmlReturn_t nvmlDeviceGetCurrPcieLinkGeneration(nvmlDevice_t device, unsigned int* generation) {
  return give_sensor(device, &SensorProfile::pcie_generation, generation);
}

nvmlReturn_t nvmlDeviceGetCurrPcieLinkWidth(nvmlDevice_t device, unsigned int* lanes) {
  return give_sensor(device, &SensorProfile::pcie_width, lanes);
}

nvmlReturn_t nvmlDeviceGetMaxPcieLinkGeneration(nvmlDevice_t device, unsigned int* generation) {
  return give_sensor(device, &SensorProfile::pcie_generation_max, generation);
}

nvmlReturn_t nvmlDeviceGetMaxPcieLinkWidth(nvmlDevice_t device, unsigned int* lanes) {
  return give_sensor(device, &SensorProfile::pcie_width_max, lanes);
}

nvmlReturn_t nvmlDeviceGetPersistenceMode(nvmlDevice_t device, nvmlEnableState_t* mode) {
  unsigned value = 0;
  const nvmlReturn_t result = give_sensor(device, &SensorProfile::persistence, &value);
  if (result == NVML_SUCCESS) *mode = value == 0 ? NVML_FEATURE_DISABLED : NVML_FEATURE_ENABLED;
  return result;
}

nvmlReturn_t nvmlDeviceGetComputeMode(nvmlDevice_t device, nvmlComputeMode_t* mode) {
  const Target target = target_of(device);
  if (target.result != NVML_SUCCESS) return target.result;
  if (mode == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  *mode = static_cast<nvmlComputeMode_t>(target.device->compute_mode);
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned int* current, unsigned int* pending) {
  if (current == nullptr || pending == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  return none_of_it(device);
}

nvmlReturn_t nvmlDeviceGetVirtualizationMode(nvmlDevice_t device, nvmlGpuVirtualizationMode_t* mode) {
  const Target target = target_of(device);
  if (target.result != NVML_SUCCESS) return target.result;
  if (mode == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  *mode = NVML_GPU_VIRTUALIZATION_MODE_NONE;
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetPowerManagementDefaultLimit(nvmlDevice_t device, unsigned int* milliwatts) {
  return give_sensor(device, &SensorProfile::power_limit_default_mw, milliwatts);
}

// A card on which somebody draws is taken for one with a monitor.
nvmlReturn_t nvmlDeviceGetDisplayActive(nvmlDevice_t device, nvmlEnableState_t* active) {
  const Target target = target_of(device);
  if (target.result != NVML_SUCCESS) return target.result;
  if (active == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  const auto running = Machine::instance().running(target.index);
  const bool drawn = std::ranges::any_of(running, [](const RunningProcess& process) { return process.graphics; });
  *active = drawn ? NVML_FEATURE_ENABLED : NVML_FEATURE_DISABLED;
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t device, nvmlMemoryErrorType_t, nvmlEccCounterType_t,
                                         unsigned long long* errors) {
  const Target target = target_of(device);
  if (target.result != NVML_SUCCESS) return target.result;
  if (errors == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  if (!target.device->ecc) return NVML_ERROR_NOT_SUPPORTED;
  *errors = 0;
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetRemappedRows(nvmlDevice_t device, unsigned int* correctable, unsigned int* uncorrectable,
                                       unsigned int* pending, unsigned int* failed) {
  if (correctable == nullptr || uncorrectable == nullptr || pending == nullptr || failed == nullptr)
    return NVML_ERROR_INVALID_ARGUMENT;
  return none_of_it(device);
}

nvmlReturn_t nvmlDeviceGetGpuFabricInfo(nvmlDevice_t device, nvmlGpuFabricInfo_t* info) {
  return info == nullptr ? NVML_ERROR_INVALID_ARGUMENT : none_of_it(device);
}

}  // namespace api

// What every call meets before its own work: a fault of the script (a fault's name may be the table's or the
// library's), and NVML's rule that nothing works before nvmlInit().
nvmlReturn_t before(const char* name, const char* symbol) {
  const std::scoped_lock lock(mutex);
  for (const FailFault& fault : Machine::instance().faults().fail) {
    if (fault.function == name || fault.function == symbol) return static_cast<nvmlReturn_t>(fault.code);
  }
  const bool needs_init = std::strcmp(name, "nvmlInit") != 0 && std::strcmp(name, "nvmlShutdown") != 0;
  return needs_init && users == 0 ? NVML_ERROR_UNINITIALIZED : NVML_SUCCESS;
}

}  // namespace hearth::sim::nvml

#define NVML_EXPORT extern "C" __attribute__((visibility("default")))
#define NVML_FUNCTION(name, symbol, parameters, arguments)                           \
  NVML_EXPORT nvmlReturn_t symbol parameters {                                       \
    const nvmlReturn_t result = hearth::sim::nvml::before(#name, #symbol);           \
    return result == NVML_SUCCESS ? hearth::sim::nvml::api::name arguments : result; \
  }
#define NVML_TEXT_FUNCTION(name, symbol, parameters, arguments) \
  NVML_EXPORT const char* symbol parameters {                   \
    return hearth::sim::nvml::api::name arguments;              \
  }
#include "sim/nvml_exports.inc"

// Older forms that other programs ask for.
NVML_EXPORT nvmlReturn_t nvmlInit() {
  return nvmlInit_v2();
}
struct nvmlMemory_t {
  unsigned long long total, free, used;
};
NVML_EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t* memory) {
  if (memory == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  nvmlMemory_v2_t newer{};
  newer.version = nvmlMemory_v2;
  const nvmlReturn_t result = nvmlDeviceGetMemoryInfo_v2(device, &newer);
  if (result == NVML_SUCCESS) *memory = {newer.total, newer.free, newer.used + newer.reserved};
  return result;
}
