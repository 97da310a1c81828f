#include "driver/probe.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <memory>

#include "base/error.h"
#include "driver/handles.h"
#include "driver/patience.h"

namespace hearth::driver {
namespace {

constexpr unsigned kMostProcesses = 4096;  // beyond that the library counts nonsense
constexpr unsigned kMostGpus = 256;

// Of a C function that fills a buffer; empty if it fails or does not end its text.
template <size_t kSize, class Call>
std::string text_of(Call call) {
  std::array<char, kSize> buffer{};
  if (!call(buffer.data(), static_cast<unsigned>(kSize - 1))) return {};
  buffer.back() = 0;
  return buffer.data();
}

std::string base_name(const std::string& path) {
  return path.substr(path.find_last_of('/') + 1);
}

std::string process_name(const Nvml& nvml, unsigned pid) {
  std::string name;
  if (nvml.nvmlSystemGetProcessName != nullptr) {
    name = text_of<256>(
        [&](char* text, unsigned size) { return nvml.nvmlSystemGetProcessName(pid, text, size) == NVML_SUCCESS; });
  }
  if (name.empty()) std::getline(std::ifstream("/proc/" + std::to_string(pid) + "/comm"), name);
  return base_name(name.substr(0, name.find(' ')));  // some drivers add the arguments
}

using ProcessFunction = nvmlReturn_t (*)(nvmlDevice_t, unsigned*, nvmlProcessInfo_t*);

void add_processes(const Nvml& nvml, nvmlDevice_t device, ProcessFunction ask, bool graphics, GpuState& state) {
  std::vector<GpuProcess>& out = state.processes;
  if (ask == nullptr) return;
  std::vector<nvmlProcessInfo_t> found(64);
  unsigned count = 0;
  for (int tries = 0; tries < 3; ++tries) {  // others may start meanwhile
    count = static_cast<unsigned>(found.size());
    const nvmlReturn_t result = ask(device, &count, found.data());
    if (result == NVML_SUCCESS) break;
    if (result != NVML_ERROR_INSUFFICIENT_SIZE || count > kMostProcesses) return;
    found.resize(count + 16);
    count = 0;
  }
  found.resize(std::min<size_t>(count, found.size()));
  for (const nvmlProcessInfo_t& info : found) {
    const auto same_pid = [&](const GpuProcess& other) { return other.pid == info.pid; };
    const bool known = info.usedGpuMemory != NVML_VALUE_NOT_AVAILABLE;
    if (info.pid == static_cast<unsigned>(::getpid())) {
      if (known) state.own_bytes = info.usedGpuMemory;
      continue;
    }
    if (std::ranges::any_of(out, same_pid)) continue;
    GpuProcess process{info.pid, process_name(nvml, info.pid), std::nullopt, graphics};
    if (known) process.bytes = info.usedGpuMemory;
    out.push_back(std::move(process));
  }
}

template <class Value, class Function, class... Args>
void ask(std::optional<Value>& out, Function* function, nvmlDevice_t device, Args... args) {
  Value value{};
  if (function != nullptr && function(device, args..., &value) == NVML_SUCCESS) out = value;
}

GpuState state_of(const Nvml& nvml, nvmlDevice_t device) {
  GpuState state;
  nvmlMemory_v2_t memory{};
  memory.version = nvmlMemory_v2;
  if (nvml.nvmlDeviceGetMemoryInfo != nullptr && nvml.nvmlDeviceGetMemoryInfo(device, &memory) == NVML_SUCCESS) {
    state.total_bytes = memory.total;
    state.free_bytes = memory.free;
    state.used_bytes = memory.used;
    state.reserved_bytes = memory.reserved;
  }
  std::optional<nvmlUtilization_t> rates;
  ask(rates, nvml.nvmlDeviceGetUtilizationRates, device);
  if (rates) state.utilization_percent = rates->gpu;
  ask(state.temperature_c, nvml.nvmlDeviceGetTemperature, device, NVML_TEMPERATURE_GPU);
  ask(state.power_mw, nvml.nvmlDeviceGetPowerUsage, device);
  ask(state.power_limit_mw, nvml.nvmlDeviceGetEnforcedPowerLimit, device);
  ask(state.sm_mhz, nvml.nvmlDeviceGetClockInfo, device, NVML_CLOCK_SM);
  ask(state.sm_max_mhz, nvml.nvmlDeviceGetMaxClockInfo, device, NVML_CLOCK_SM);
  ask(state.memory_mhz, nvml.nvmlDeviceGetClockInfo, device, NVML_CLOCK_MEM);
  ask(state.memory_max_mhz, nvml.nvmlDeviceGetMaxClockInfo, device, NVML_CLOCK_MEM);
  ask(state.throttle_reasons, nvml.nvmlDeviceGetCurrentClocksThrottleReasons, device);
  ask(state.pcie_generation, nvml.nvmlDeviceGetCurrPcieLinkGeneration, device);
  ask(state.pcie_lanes, nvml.nvmlDeviceGetCurrPcieLinkWidth, device);
  ask(state.pcie_generation_max, nvml.nvmlDeviceGetMaxPcieLinkGeneration, device);
  ask(state.pcie_lanes_max, nvml.nvmlDeviceGetMaxPcieLinkWidth, device);
  std::optional<nvmlEnableState_t> persistence;
  ask(persistence, nvml.nvmlDeviceGetPersistenceMode, device);
  if (persistence) state.persistence = *persistence == NVML_FEATURE_ENABLED;
  add_processes(nvml, device, nvml.nvmlDeviceGetComputeRunningProcesses, false, state);
  add_processes(nvml, device, nvml.nvmlDeviceGetGraphicsRunningProcesses, true, state);
  return state;
}

std::string text_of_device(nvmlReturn_t (*function)(nvmlDevice_t, char*, unsigned), nvmlDevice_t device) {
  if (function == nullptr) return {};
  return text_of<NVML_DEVICE_NAME_V2_BUFFER_SIZE>(
      [&](char* text, unsigned size) { return function(device, text, size) == NVML_SUCCESS; });
}

// All GPUs as NVML sees them: what there is to say where CUDA cannot be used.
std::vector<Gpu> gpus_of(const Nvml& nvml) {
  unsigned count = 0;
  if (nvml.nvmlDeviceGetCount(&count) != NVML_SUCCESS || nvml.nvmlDeviceGetHandleByIndex == nullptr) return {};
  std::vector<Gpu> gpus;
  for (unsigned i = 0; i < std::min(count, kMostGpus); ++i) {
    nvmlDevice_t device = nullptr;
    if (nvml.nvmlDeviceGetHandleByIndex(i, &device) != NVML_SUCCESS) continue;
    Gpu gpu;
    gpu.name = text_of_device(nvml.nvmlDeviceGetName, device);
    gpu.uuid = text_of_device(nvml.nvmlDeviceGetUUID, device);
    int major = 0, minor = 0;
    if (nvml.nvmlDeviceGetCudaComputeCapability != nullptr &&
        nvml.nvmlDeviceGetCudaComputeCapability(device, &major, &minor) == NVML_SUCCESS) {
      gpu.capability = major * 10 + minor;
    }
    gpu.state = state_of(nvml, device);
    gpu.total_bytes = gpu.state.total_bytes.value_or(0);
    gpus.push_back(std::move(gpu));
  }
  return gpus;
}

std::string driver_version_by(const Nvml& nvml) {
  if (nvml.nvmlSystemGetDriverVersion == nullptr) return {};
  return text_of<NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE>(
      [&](char* text, unsigned size) { return nvml.nvmlSystemGetDriverVersion(text, size) == NVML_SUCCESS; });
}

// Opens a context for a moment. Others in this process may share it: it is retained, not made.
void try_context(const Cuda& cuda, Gpu& gpu) {
  CUdevice device = 0;
  CUcontext context = nullptr, before = nullptr;
  CUresult result = cuda.cuDeviceGet(&device, gpu.ordinal);
  if (result == CUDA_SUCCESS) result = cuda.cuDevicePrimaryCtxRetain(&context, device);
  if (result != CUDA_SUCCESS) {
    gpu.problem = problem_of(result);
    return;
  }
  (void)cuda.cuCtxGetCurrent(&before);
  size_t free_bytes = 0, total_bytes = 0;
  if (cuda.cuCtxSetCurrent(context) == CUDA_SUCCESS &&
      (result = cuda.cuMemGetInfo(&free_bytes, &total_bytes)) == CUDA_SUCCESS) {
    gpu.free_bytes = free_bytes;
  }
  if (result != CUDA_SUCCESS) gpu.problem = problem_of(result);
  (void)cuda.cuCtxSetCurrent(before);
  (void)cuda.cuDevicePrimaryCtxRelease(device);
}

std::vector<Gpu> gpus_of(const Cuda& cuda, bool open_contexts) {
  std::vector<Gpu> gpus;
  int count = 0;
  if (cuda.cuDeviceGetCount(&count) != CUDA_SUCCESS) return gpus;
  for (int i = 0; i < std::min(count, static_cast<int>(kMostGpus)); ++i) {
    gpus.push_back(static_facts(cuda, i));
    if (open_contexts && !gpus.back().problem) try_context(cuda, gpus.back());
  }
  return gpus;
}

// Shared with threads that nobody waits for. That of the process stays anyway.
template <class Driver>
std::shared_ptr<const Driver> borrow(const Driver* driver) {
  return {driver, [](const Driver*) {}};
}

Result<std::shared_ptr<const Cuda>> open_cuda(const ProbeOptions& options, Problem& problem) {
  if (options.cuda_library == Cuda::kLibrary) {
    ASSIGN_OR_RETURN(const Cuda* const cuda, Cuda::open(&problem));
    return borrow(cuda);
  }
  ASSIGN_OR_RETURN(auto cuda, Cuda::load(options.cuda_library, options.cuda_patience, &problem));
  return std::shared_ptr<const Cuda>(std::move(cuda));
}

Result<std::shared_ptr<const Nvml>> open_nvml(const ProbeOptions& options) {
  if (options.nvml_library == Nvml::kLibrary) {
    ASSIGN_OR_RETURN(const Nvml* const nvml, Nvml::open());
    return borrow(nvml);
  }
  ASSIGN_OR_RETURN(auto nvml, Nvml::load(options.nvml_library, options.nvml_patience));
  return std::shared_ptr<const Nvml>(std::move(nvml));
}

void probe_cuda(const ProbeOptions& options, Probe& facts) {
  Problem problem;
  const auto opened = open_cuda(options, problem);
  if (!opened) {
    facts.problem = problem;
    return;
  }
  const std::shared_ptr<const Cuda> cuda = *opened;
  facts.cuda_version = cuda->version;
  facts.library = cuda->library;
  facts.driver_version = driver_version_of(facts.library);
  auto gpus =
      with_patience(options.cuda_patience, [cuda, open = options.open_contexts] { return gpus_of(*cuda, open); });
  if (gpus && !gpus->empty()) {
    facts.gpus = std::move(*gpus);
  } else if (gpus) {
    facts.problem = problem_of(CUDA_ERROR_NO_DEVICE);
  } else {
    facts.problem = Problem{0, "gpu-does-not-answer", {"gpu-does-not-answer"}};
  }
}

struct NvmlFacts {
  std::string driver_version;
  std::vector<Gpu> all;          // if CUDA sees none
  std::vector<GpuState> states;  // of those that CUDA sees
};

void probe_nvml(const ProbeOptions& options, Probe& facts) {
  const auto opened = open_nvml(options);
  if (!opened) {
    facts.nvml_problem = opened.error().message;
    return;
  }
  std::vector<std::string> uuids;
  for (const Gpu& gpu : facts.gpus) uuids.push_back(gpu.uuid);
  auto answer = with_patience(options.nvml_patience, [nvml = *opened, uuids] {
    NvmlFacts found{driver_version_by(*nvml), {}, {}};
    if (uuids.empty()) found.all = gpus_of(*nvml);
    for (const std::string& uuid : uuids) found.states.push_back(read_state(*nvml, uuid));
    return found;
  });
  if (!answer) {
    facts.nvml_problem = "NVML did not answer; look for Xid in the kernel log and reboot";
    return;
  }
  if (!answer->driver_version.empty()) facts.driver_version = answer->driver_version;
  if (uuids.empty()) facts.gpus = std::move(answer->all);
  for (size_t i = 0; i < answer->states.size(); ++i) facts.gpus[i].state = std::move(answer->states[i]);
}

}  // namespace

std::string uuid_of(const Cuda& cuda, CUdevice device) {
  CUuuid uuid{};
  if (cuda.cuDeviceGetUuid(&uuid, device) != CUDA_SUCCESS) return {};
  std::string text = "GPU-";
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", static_cast<unsigned char>(uuid.bytes[i]));
  }
  return text;
}

Gpu static_facts(const Cuda& cuda, int ordinal) {
  Gpu gpu;
  gpu.ordinal = ordinal;
  CUdevice device = 0;
  if (const CUresult result = cuda.cuDeviceGet(&device, ordinal); result != CUDA_SUCCESS) {
    gpu.problem = problem_of(result);
    return gpu;
  }
  const auto attribute = [&](CUdevice_attribute which) {
    int value = 0;
    return cuda.cuDeviceGetAttribute(&value, which, device) == CUDA_SUCCESS ? value : 0;
  };
  gpu.name = text_of<256>([&](char* text, unsigned size) {
    return cuda.cuDeviceGetName(text, static_cast<int>(size), device) == CUDA_SUCCESS;
  });
  gpu.pci_bus_id = text_of<32>([&](char* text, unsigned size) {
    return cuda.cuDeviceGetPCIBusId(text, static_cast<int>(size), device) == CUDA_SUCCESS;
  });
  gpu.uuid = uuid_of(cuda, device);
  if (size_t bytes = 0; cuda.cuDeviceTotalMem(&bytes, device) == CUDA_SUCCESS) gpu.total_bytes = bytes;
  gpu.capability = attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) * 10 +
                   attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  gpu.multiprocessors = attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
  gpu.integrated = attribute(CU_DEVICE_ATTRIBUTE_INTEGRATED) != 0;
  // Two transfers per clock, as NVIDIA counts the clock of every memory it uses.
  gpu.memory_bytes_per_s = 2.0 * 1000 * attribute(CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE) *
                           attribute(CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH) / 8;
  if (attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_MODE) == CU_COMPUTEMODE_PROHIBITED) {
    gpu.problem = problem_of(CUDA_ERROR_DEVICE_UNAVAILABLE);
  }
  return gpu;
}

GpuState read_state(const Nvml& nvml, const std::string& uuid) {
  if (nvml.nvmlDeviceGetHandleByUUID == nullptr || uuid.size() < 4) return {};
  nvmlDevice_t device = nullptr;
  for (const std::string& name : {uuid, "MIG" + uuid.substr(3)}) {
    if (nvml.nvmlDeviceGetHandleByUUID(name.c_str(), &device) == NVML_SUCCESS) return state_of(nvml, device);
  }
  return {};
}

Probe probe(const ProbeOptions& options) {
  Probe facts;
  facts.machine = look_at_machine();
  probe_cuda(options, facts);
  probe_nvml(options, facts);
  return facts;
}

}  // namespace hearth::driver
