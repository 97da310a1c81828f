// What the loader, CUDA and NVML answered. Answers are keyed by the function that gave them, without its version; a
// call that failed is {"error": CODE}.
#include <cmath>

#include "doctor/json_read.h"
#include "doctor/read_facts.h"

namespace hearth::doctor {
namespace {

namespace json = boost::json;

// An answer by the function's name, with or without "_v2".
const json::value* answer(const json::value* answers, std::string_view function) {
  if (const json::value* found = member(answers, function)) return found;
  for (const char* version : {"_v2", "_v3", "_v4"})
    if (const json::value* found = member(answers, std::string(function) + version)) return found;
  return nullptr;
}

// The code of a call that gives nothing else, or of one that failed; 0 for an answer.
std::optional<int> code_of(const json::value* value) {
  if (value == nullptr) return std::nullopt;
  const auto failed = integer_of(member(value, "error"));
  if (failed) return static_cast<int>(*failed);
  if (value->is_object() || value->is_array() || value->is_string()) return 0;
  const auto number = integer_of(value);
  return number ? std::optional(static_cast<int>(*number)) : std::nullopt;
}

int capability_of(const json::value* value) {  // "8.6", 8.6, 86, {"major": 8, "minor": 6}
  if (const auto major = integer_of(member(value, "major")))
    return static_cast<int>(*major * 10 + integer_of(member(value, "minor")).value_or(0));
  if (const std::string text = text_of(value); !text.empty()) {
    const std::vector<int> numbers = version_numbers(text);
    if (numbers.size() >= 2) return numbers[0] * 10 + numbers[1];
  }
  const auto number = number_of(value);
  if (!number) return 0;
  return static_cast<int>(std::lround(*number < 20 ? *number * 10 : *number));
}

Library library_of(const json::value& value) {
  Library library;
  library.path = text_of(member(&value, "path"));
  library.problem = text_of(member(&value, "error"));
  library.loads = bool_of(member(&value, "loads"));
  if (!library.loads) library.loads = library.problem.empty() && !value.is_null();
  if (value.is_string()) library.path = text_of(&value);
  if (!*library.loads) library.path.clear();
  return library;
}

// The steps of a device after cuDeviceGet(), in order. What follows a failure was not tried.
constexpr const char* kDeviceSteps[] = {"cuDevicePrimaryCtxRetain", "cuCtxCreate",    "cuMemAlloc",
                                        "cuModuleLoadData",         "cuLaunchKernel", "cuCtxSynchronize"};

CudaDevice device_of(const json::value& value) {
  CudaDevice device;
  device.name = text_of(answer(&value, "cuDeviceGetName"));
  device.uuid = text_of(answer(&value, "cuDeviceGetUuid"));
  device.bus = text_of(answer(&value, "cuDeviceGetPCIBusId"));
  device.capability = capability_of(member(&value, "compute_capability"));
  device.total_bytes = count_of(answer(&value, "cuDeviceTotalMem"));
  device.free_bytes = count_of(member(answer(&value, "cuMemGetInfo"), "free"));
  for (const char* step : kDeviceSteps) {
    const auto code = code_of(answer(&value, step));
    if (!code || *code == 0) continue;
    device.failed_step = step;
    device.code = *code;
    break;
  }
  device.kernel_right = bool_of(member(&value, "kernel_right"));
  return device;
}

CudaChain chain_of(const json::value* value) {
  CudaChain chain;
  if (value == nullptr || !value->is_object()) return chain;
  chain.asked = answer(value, "cuInit") != nullptr;
  if (text_of(member(value, "error")) == "timeout") chain.asked = chain.timed_out = true;
  for (const char* step : {"cuInit", "cuDeviceGetCount"}) {
    const json::value* given = answer(value, step);
    const std::optional<int> failed = step == std::string_view("cuInit") || given == nullptr || given->is_object()
                                          ? code_of(given)
                                          : std::optional<int>();
    if (!failed || *failed == 0) continue;
    chain.failed_step = step;
    chain.code = *failed;
    break;
  }
  if (const auto count = integer_of(answer(value, "cuDeviceGetCount"))) chain.count = static_cast<int>(*count);
  chain.version = static_cast<int>(integer_of(answer(value, "cuDriverGetVersion")).value_or(0));
  chain.init_s = number_of(member(value, "cuInit_seconds"));
  for (const json::value& device : items_of(member(value, "devices"))) chain.devices.push_back(device_of(device));
  if (!chain.count && !chain.devices.empty()) chain.count = static_cast<int>(chain.devices.size());
  for (const CudaDevice& device : chain.devices) {
    if (chain.code != 0 || device.code == 0) continue;
    chain.failed_step = device.failed_step;
    chain.code = device.code;
  }
  return chain;
}

void add_processes(const json::value* list, bool graphics, NvmlDevice& device) {
  if (list == nullptr || !list->is_array()) return;
  device.processes_known = true;
  for (const json::value& item : list->get_array()) {
    GpuProcess process;
    process.pid = static_cast<unsigned>(count_of(member(&item, "pid")).value_or(0));
    process.name = text_of(member(&item, "name"));
    process.bytes = count_of(member(&item, "used_bytes"));
    process.graphics = graphics;
    device.processes.push_back(std::move(process));
  }
}

constexpr const char* kLossCalls[] = {"nvmlDeviceGetHandleByIndex", "nvmlDeviceGetMemoryInfo", "nvmlDeviceGetName",
                                      "nvmlDeviceGetUtilizationRates"};

NvmlDevice nvml_device_of(const json::value& value) {
  const auto number = [&](const char* function, const char* part = nullptr) {
    const json::value* given = answer(&value, function);
    if (part != nullptr && member(given, part) != nullptr) given = member(given, part);
    return integer_of(given);
  };
  NvmlDevice device;
  device.name = text_of(answer(&value, "nvmlDeviceGetName"));
  device.uuid = text_of(answer(&value, "nvmlDeviceGetUUID"));
  device.bus = text_of(answer(&value, "nvmlDeviceGetPciInfo"));
  device.capability = capability_of(answer(&value, "nvmlDeviceGetCudaComputeCapability"));
  const json::value* memory = answer(&value, "nvmlDeviceGetMemoryInfo");
  device.total_bytes = count_of(member(memory, "total"));
  device.free_bytes = count_of(member(memory, "free"));
  device.used_bytes = count_of(member(memory, "used"));
  if (!device.free_bytes && device.total_bytes && device.used_bytes && *device.total_bytes >= *device.used_bytes)
    device.free_bytes = *device.total_bytes - *device.used_bytes;
  if (!device.used_bytes && device.total_bytes && device.free_bytes && *device.total_bytes >= *device.free_bytes)
    device.used_bytes = *device.total_bytes - *device.free_bytes;
  device.compute_mode = number("nvmlDeviceGetComputeMode");
  device.mig_mode = number("nvmlDeviceGetMigMode", "current");
  device.virtualization = number("nvmlDeviceGetVirtualizationMode");
  device.fabric_state = number("nvmlDeviceGetGpuFabricInfo", "state");
  device.utilization = number("nvmlDeviceGetUtilizationRates", "gpu");
  device.display = number("nvmlDeviceGetDisplayActive");
  device.power_limit_mw = number("nvmlDeviceGetEnforcedPowerLimit");
  device.default_power_limit_mw = number("nvmlDeviceGetPowerManagementDefaultLimit");
  device.sm_mhz = number("nvmlDeviceGetClockInfo", "sm");
  device.max_sm_mhz = number("nvmlDeviceGetMaxClockInfo", "sm");
  device.temperature_c = number("nvmlDeviceGetTemperature");
  device.width = number("nvmlDeviceGetCurrPcieLinkWidth");
  device.max_width = number("nvmlDeviceGetMaxPcieLinkWidth");
  device.ecc_errors = number("nvmlDeviceGetTotalEccErrors", "uncorrected");
  device.remap_pending = number("nvmlDeviceGetRemappedRows", "pending");
  device.remap_failed = number("nvmlDeviceGetRemappedRows", "failure");
  device.persistence = number("nvmlDeviceGetPersistenceMode");
  for (const char* function : {"nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"})
    if (!device.clocks_reasons) device.clocks_reasons = count_of(answer(&value, function));
  add_processes(answer(&value, "nvmlDeviceGetComputeRunningProcesses"), false, device);
  add_processes(answer(&value, "nvmlDeviceGetGraphicsRunningProcesses"), true, device);
  for (const char* function : kLossCalls) {
    const auto code = integer_of(member(answer(&value, function), "error"));
    if (device.failed_code != 0 || !code || (*code != 15 && *code != 16)) continue;
    device.failed_code = static_cast<int>(*code);
    device.failed_call = function;
  }
  return device;
}

}  // namespace

bool CudaChain::works() const {
  if (!asked || timed_out || code != 0 || count.value_or(0) <= 0) return false;
  for (const CudaDevice& device : devices)
    if (device.kernel_right.value_or(true)) return true;
  return devices.empty();
}

void read_driver(const Bundle& bundle, Facts& facts) {
  for (const auto& [name, value] : members_of(bundle.all.if_contains("loader")))
    facts.libraries[std::string(name)] = library_of(value);
  if (facts.libraries.contains("libcuda.so.1")) facts.cuda_library = facts.libraries["libcuda.so.1"];
  if (facts.libraries.contains("libnvidia-ml.so.1")) facts.nvml_library = facts.libraries["libnvidia-ml.so.1"];
  facts.cuda = chain_of(bundle.all.if_contains("cuda"));
  facts.cuda_unrestricted = chain_of(bundle.all.if_contains("cuda_without_visible_devices"));
  for (const json::value& one : items_of(bundle.all.if_contains("cuda_each")))
    facts.cuda_each.push_back(chain_of(&one));
  const json::value* nvml = bundle.all.if_contains("nvml");
  facts.nvml.code = code_of(answer(nvml, "nvmlInit")).value_or(0);
  facts.nvml.asked = !members_of(nvml).empty();
  facts.nvml.timed_out = text_of(member(nvml, "error")) == "timeout";
  facts.nvml.driver = text_of(answer(nvml, "nvmlSystemGetDriverVersion"));
  for (const json::value& device : items_of(member(nvml, "devices")))
    facts.nvml.devices.push_back(nvml_device_of(device));
  // That it answers proves that its library was found, where nobody asked the loader.
  if (facts.cuda.asked && facts.cuda.code == 0 && !facts.cuda_library.loads) facts.cuda_library.loads = true;
  if (facts.nvml.works() && !facts.nvml_library.loads) facts.nvml_library.loads = true;
}

}  // namespace hearth::doctor
