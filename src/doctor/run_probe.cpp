// What runs in the child: the loader, the CUDA calls up to a kernel whose result is checked, NVML. Each answer is keyed
// by the function that gave it (docs/doctor-bundle.md).
#include <fmt/format.h>

#include <array>
#include <chrono>

#include "doctor/bundle.h"
#include "doctor/collect.h"
#include "driver/probe.h"

namespace hearth::doctor {
namespace {

namespace json = boost::json;

// Writes 3 * thread + 7; for any GPU since compute capability 5.0 (PTX ISA 6.0).
constexpr const char* kKernel = R"(.version 6.0
.target sm_50
.address_size 64
.visible .entry hearth_probe(.param .u64 out)
{
  .reg .b32 %r<3>;
  .reg .b64 %rd<5>;
  ld.param.u64 %rd1, [out];
  cvta.to.global.u64 %rd2, %rd1;
  mov.u32 %r1, %tid.x;
  mad.lo.s32 %r2, %r1, 3, 7;
  mul.wide.u32 %rd3, %r1, 4;
  add.s64 %rd4, %rd2, %rd3;
  st.global.u32 [%rd4], %r2;
  ret;
}
)";
constexpr unsigned kThreads = 32;
constexpr size_t kBytes = 16 << 20;

json::object loader() {
  json::object all;
  for (const char* name : {"libcuda.so.1", "libnvidia-ml.so.1", "libnvidia-ptxjitcompiler.so.1"}) {
    driver::Library library;
    std::string problem;
    if (library.open(name, problem))
      all[name] = {{"loads", true}, {"path", library.file()}};
    else
      all[name] = {{"loads", false}, {"error", problem}};
    library.keep();
  }
  return all;
}

class DeviceProbe {
 public:
  DeviceProbe(const driver::Cuda& cuda, int ordinal, json::object& out) : cuda_(cuda), ordinal_(ordinal), out_(out) {}

  void run() {
    const driver::Gpu facts = driver::static_facts(cuda_, ordinal_);
    out_["cuDeviceGetName"] = facts.name;
    out_["cuDeviceGetUuid"] = facts.uuid;
    out_["cuDeviceGetPCIBusId"] = facts.pci_bus_id;
    out_["cuDeviceTotalMem"] = facts.total_bytes;
    out_["compute_capability"] = fmt::format("{}.{}", facts.capability / 10, facts.capability % 10);
    CUdevice device = 0;
    CUcontext context = nullptr;
    if (!went_well("cuDeviceGet", cuda_.cuDeviceGet(&device, ordinal_))) return;
    if (!went_well("cuDevicePrimaryCtxRetain", cuda_.cuDevicePrimaryCtxRetain(&context, device))) return;
    if (went_well("cuCtxSetCurrent", cuda_.cuCtxSetCurrent(context))) in_context();
    (void)cuda_.cuDevicePrimaryCtxRelease(device);
  }

 private:
  bool went_well(const char* step, CUresult result) {
    out_[step] = static_cast<int>(result);
    return result == CUDA_SUCCESS;
  }

  void in_context() {
    size_t free_bytes = 0, total_bytes = 0;
    if (cuda_.cuMemGetInfo(&free_bytes, &total_bytes) == CUDA_SUCCESS)
      out_["cuMemGetInfo"] = {{"free", free_bytes}, {"total", total_bytes}};
    CUdeviceptr memory = 0;
    if (!went_well("cuMemAlloc", cuda_.cuMemAlloc(&memory, kBytes))) return;
    CUmodule module = nullptr;
    if (went_well("cuModuleLoadData", cuda_.cuModuleLoadDataEx(&module, kKernel, 0, nullptr, nullptr))) {
      launch(module, memory);
      (void)cuda_.cuModuleUnload(module);
    }
    (void)cuda_.cuMemFree(memory);
  }

  void launch(CUmodule module, CUdeviceptr memory) {
    CUfunction function = nullptr;
    if (!went_well("cuModuleGetFunction", cuda_.cuModuleGetFunction(&function, module, "hearth_probe"))) return;
    void* parameters[] = {&memory};
    if (!went_well("cuLaunchKernel",
                   cuda_.cuLaunchKernel(function, 1, 1, 1, kThreads, 1, 1, 0, nullptr, parameters, nullptr)))
      return;
    if (!went_well("cuCtxSynchronize", cuda_.cuCtxSynchronize())) return;
    std::array<unsigned, kThreads> result{};
    if (!went_well("cuMemcpyDtoH", cuda_.cuMemcpyDtoH(result.data(), memory, sizeof result))) return;
    bool right = true;
    for (unsigned i = 0; i < kThreads; ++i) right = right && result[i] == 3 * i + 7;
    out_["kernel_right"] = right;
  }

  const driver::Cuda& cuda_;
  const int ordinal_;
  json::object& out_;
};

json::object cuda_chain() {
  json::object all;
  driver::Problem problem;
  const auto start = std::chrono::steady_clock::now();
  const auto cuda = driver::Cuda::load(driver::Cuda::kLibrary, std::chrono::hours(1), &problem);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  if (!cuda) {
    if (problem.code != 0)
      all["cuInit"] = problem.code;
    else
      all["error"] = problem.name;
    return all;
  }
  all["cuInit"] = 0;
  all["cuInit_seconds"] = took.count();
  all["cuDriverGetVersion"] = (*cuda)->version;
  int count = 0;
  if (const CUresult result = (*cuda)->cuDeviceGetCount(&count); result != CUDA_SUCCESS) {
    all["cuDeviceGetCount"] = {{"error", static_cast<int>(result)}};
    return all;
  }
  all["cuDeviceGetCount"] = count;
  json::array devices;
  for (int ordinal = 0; ordinal < std::min(count, 64); ++ordinal) {
    json::object device;
    DeviceProbe(**cuda, ordinal, device).run();
    devices.push_back(std::move(device));
  }
  all["devices"] = std::move(devices);
  return all;
}

class NvmlProbe {
 public:
  explicit NvmlProbe(const driver::Nvml& nvml) : nvml_(nvml) {}

  json::object device(unsigned index) {
    json::object out;
    nvmlDevice_t handle = nullptr;
    if (nvml_.nvmlDeviceGetHandleByIndex == nullptr) return out;
    if (const nvmlReturn_t result = nvml_.nvmlDeviceGetHandleByIndex(index, &handle); result != NVML_SUCCESS) {
      out["nvmlDeviceGetHandleByIndex"] = {{"error", static_cast<int>(result)}};
      return out;
    }
    text(out, "nvmlDeviceGetName", nvml_.nvmlDeviceGetName, handle);
    text(out, "nvmlDeviceGetUUID", nvml_.nvmlDeviceGetUUID, handle);
    memory(out, handle);
    numbers(out, handle);
    several(out, handle);
    processes(out, "nvmlDeviceGetComputeRunningProcesses", nvml_.nvmlDeviceGetComputeRunningProcesses, handle);
    processes(out, "nvmlDeviceGetGraphicsRunningProcesses", nvml_.nvmlDeviceGetGraphicsRunningProcesses, handle);
    return out;
  }

 private:
  // The answer of one question: `value()` makes it, or {"error": code}.
  template <class Function, class Value, class... Arguments>
  void ask(json::object& out, const char* name, Function* function, Value value, Arguments... arguments) {
    if (function == nullptr) return;
    const nvmlReturn_t result = function(arguments...);
    if (result == NVML_SUCCESS)
      out[name] = value();
    else
      out[name] = {{"error", static_cast<int>(result)}};
  }

  template <class Function>
  void text(json::object& out, const char* name, Function* function, nvmlDevice_t handle) {
    std::array<char, 97> buffer{};
    ask(
        out, name, function, [&] { return json::value(buffer.data()); }, handle, buffer.data(), 96u);
  }

  template <class Function, class... Before>
  void number(json::object& out, const char* name, Function* function, nvmlDevice_t handle) {
    unsigned value = 0;
    ask(
        out, name, function, [&] { return json::value(value); }, handle, &value);
  }

  template <class Enumeration, class Function>
  void choice(json::object& out, const char* name, Function* function, nvmlDevice_t handle) {
    Enumeration value{};
    ask(
        out, name, function, [&] { return json::value(static_cast<int>(value)); }, handle, &value);
  }

  void memory(json::object& out, nvmlDevice_t handle) {
    nvmlMemory_v2_t info{};
    info.version = nvmlMemory_v2;
    ask(
        out, "nvmlDeviceGetMemoryInfo", nvml_.nvmlDeviceGetMemoryInfo,
        [&] {
          return json::value{
              {"total", info.total}, {"reserved", info.reserved}, {"free", info.free}, {"used", info.used}};
        },
        handle, &info);
  }

  void numbers(json::object& out, nvmlDevice_t handle) {
    number(out, "nvmlDeviceGetPowerUsage", nvml_.nvmlDeviceGetPowerUsage, handle);
    number(out, "nvmlDeviceGetEnforcedPowerLimit", nvml_.nvmlDeviceGetEnforcedPowerLimit, handle);
    number(out, "nvmlDeviceGetPowerManagementDefaultLimit", nvml_.nvmlDeviceGetPowerManagementDefaultLimit, handle);
    number(out, "nvmlDeviceGetCurrPcieLinkWidth", nvml_.nvmlDeviceGetCurrPcieLinkWidth, handle);
    number(out, "nvmlDeviceGetMaxPcieLinkWidth", nvml_.nvmlDeviceGetMaxPcieLinkWidth, handle);
    number(out, "nvmlDeviceGetCurrPcieLinkGeneration", nvml_.nvmlDeviceGetCurrPcieLinkGeneration, handle);
    choice<nvmlComputeMode_t>(out, "nvmlDeviceGetComputeMode", nvml_.nvmlDeviceGetComputeMode, handle);
    choice<nvmlGpuVirtualizationMode_t>(out, "nvmlDeviceGetVirtualizationMode", nvml_.nvmlDeviceGetVirtualizationMode,
                                        handle);
    choice<nvmlEnableState_t>(out, "nvmlDeviceGetPersistenceMode", nvml_.nvmlDeviceGetPersistenceMode, handle);
    choice<nvmlEnableState_t>(out, "nvmlDeviceGetDisplayActive", nvml_.nvmlDeviceGetDisplayActive, handle);
    unsigned long long reasons = 0;
    ask(
        out, "nvmlDeviceGetCurrentClocksEventReasons", nvml_.nvmlDeviceGetCurrentClocksThrottleReasons,
        [&] { return json::value(reasons); }, handle, &reasons);
    unsigned value = 0;
    ask(
        out, "nvmlDeviceGetTemperature", nvml_.nvmlDeviceGetTemperature, [&] { return json::value(value); }, handle,
        NVML_TEMPERATURE_GPU, &value);
    ask(
        out, "nvmlDeviceGetClockInfo", nvml_.nvmlDeviceGetClockInfo,
        [&] {
          return json::value{{"sm", value}};
        },
        handle, NVML_CLOCK_SM, &value);
    ask(
        out, "nvmlDeviceGetMaxClockInfo", nvml_.nvmlDeviceGetMaxClockInfo,
        [&] {
          return json::value{{"sm", value}};
        },
        handle, NVML_CLOCK_SM, &value);
  }

  void several(json::object& out, nvmlDevice_t handle) {
    int major = 0, minor = 0;
    ask(
        out, "nvmlDeviceGetCudaComputeCapability", nvml_.nvmlDeviceGetCudaComputeCapability,
        [&] {
          return json::value{{"major", major}, {"minor", minor}};
        },
        handle, &major, &minor);
    nvmlUtilization_t rates{};
    ask(
        out, "nvmlDeviceGetUtilizationRates", nvml_.nvmlDeviceGetUtilizationRates,
        [&] {
          return json::value{{"gpu", rates.gpu}, {"memory", rates.memory}};
        },
        handle, &rates);
    unsigned current = 0, pending = 0;
    ask(
        out, "nvmlDeviceGetMigMode", nvml_.nvmlDeviceGetMigMode,
        [&] {
          return json::value{{"current", current}, {"pending", pending}};
        },
        handle, &current, &pending);
    unsigned correctable = 0, uncorrectable = 0, waiting = 0, failed = 0;
    ask(
        out, "nvmlDeviceGetRemappedRows", nvml_.nvmlDeviceGetRemappedRows,
        [&] {
          return json::value{{"correctable", correctable},
                             {"uncorrectable", uncorrectable},
                             {"pending", waiting},
                             {"failure", failed}};
        },
        handle, &correctable, &uncorrectable, &waiting, &failed);
    unsigned long long errors = 0;
    ask(
        out, "nvmlDeviceGetTotalEccErrors", nvml_.nvmlDeviceGetTotalEccErrors,
        [&] {
          return json::value{{"uncorrected", errors}};
        },
        handle, NVML_MEMORY_ERROR_TYPE_UNCORRECTED, NVML_VOLATILE_ECC, &errors);
    nvmlGpuFabricInfo_t fabric{};
    ask(
        out, "nvmlDeviceGetGpuFabricInfo", nvml_.nvmlDeviceGetGpuFabricInfo,
        [&] {
          return json::value{{"state", fabric.state}, {"status", static_cast<int>(fabric.status)}};
        },
        handle, &fabric);
  }

  template <class Function>
  void processes(json::object& out, const char* name, Function* function, nvmlDevice_t handle) {
    std::array<nvmlProcessInfo_t, 256> list{};
    unsigned count = list.size();
    const auto make = [&] {
      json::array all;
      for (unsigned i = 0; i < std::min<unsigned>(count, list.size()); ++i) {
        json::object one{{"pid", list[i].pid}, {"name", process_name(list[i].pid)}};
        if (list[i].usedGpuMemory != NVML_VALUE_NOT_AVAILABLE) one["used_bytes"] = list[i].usedGpuMemory;
        all.push_back(std::move(one));
      }
      return json::value(all);
    };
    ask(out, name, function, make, handle, &count, list.data());
  }

  std::string process_name(unsigned pid) {
    std::array<char, 257> name{};
    if (nvml_.nvmlSystemGetProcessName == nullptr ||
        nvml_.nvmlSystemGetProcessName(pid, name.data(), 256) != NVML_SUCCESS)
      return {};
    const std::string text = name.data();
    const std::string program = text.substr(0, text.find(' '));
    return program.substr(program.find_last_of('/') + 1);
  }

  const driver::Nvml& nvml_;
};

json::object nvml_answers() {
  json::object all;
  nvmlReturn_t answered = NVML_SUCCESS;
  const auto nvml = driver::Nvml::load(driver::Nvml::kLibrary, std::chrono::hours(1), &answered);
  if (!nvml) {
    if (answered != NVML_SUCCESS) all["nvmlInit"] = static_cast<int>(answered);
    return all;
  }
  all["nvmlInit"] = 0;
  std::array<char, NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE + 1> version{};
  if ((*nvml)->nvmlSystemGetDriverVersion != nullptr &&
      (*nvml)->nvmlSystemGetDriverVersion(version.data(), NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE) == NVML_SUCCESS)
    all["nvmlSystemGetDriverVersion"] = version.data();
  unsigned count = 0;
  const nvmlReturn_t counted = (*nvml)->nvmlDeviceGetCount(&count);
  if (counted != NVML_SUCCESS) all["nvmlDeviceGetCount"] = {{"error", static_cast<int>(counted)}};
  json::array devices;
  NvmlProbe probe(**nvml);
  for (unsigned i = 0; counted == NVML_SUCCESS && i < std::min(count, 64u); ++i) devices.push_back(probe.device(i));
  all["devices"] = std::move(devices);
  return all;
}

}  // namespace

std::string run_probe(const std::string& name) {
  if (name == "loader") return json::serialize(loader());
  if (name == "cuda") return json::serialize(cuda_chain());
  if (name == "nvml") return json::serialize(nvml_answers());
  return "{}";
}

}  // namespace hearth::doctor
