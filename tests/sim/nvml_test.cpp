// The simulated libnvidia-ml.so.1 shows the machine that libcuda.so.1 shows.
#include <unistd.h>

#include "sim/driver_support.h"

namespace hearth::sim {
namespace {

class Nvml {
 public:
  explicit Nvml(Sim& sim) : library_(sim.load("libnvidia-ml.so.1")) {
#define NVML_FUNCTION(name, symbol, parameters) \
  name = reinterpret_cast<nvmlReturn_t(*) parameters>(dlsym(library_, #symbol));
#define NVML_TEXT_FUNCTION(name, symbol, parameters) \
  name = reinterpret_cast<const char*(*)parameters>(dlsym(library_, #symbol));
#include "driver/nvml_api.def"
  }
  ~Nvml() {
    dlclose(library_);
  }
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  nvmlDevice_t device(unsigned index = 0) {
    nvmlDevice_t handle = nullptr;
    EXPECT_EQ(nvmlDeviceGetHandleByIndex(index, &handle), NVML_SUCCESS);
    return handle;
  }
  nvmlMemory_v2_t memory(nvmlDevice_t handle) {
    nvmlMemory_v2_t memory{};
    memory.version = nvmlMemory_v2;
    EXPECT_EQ(nvmlDeviceGetMemoryInfo(handle, &memory), NVML_SUCCESS);
    return memory;
  }

#define NVML_FUNCTION(name, symbol, parameters) nvmlReturn_t(*name) parameters = nullptr;
#define NVML_TEXT_FUNCTION(name, symbol, parameters) const char*(*name)parameters = nullptr;
#include "driver/nvml_api.def"

 private:
  void* library_;
};

TEST(SimNvml, NeedsInitialisation) {
  Sim sim("tiny");
  Nvml nvml(sim);
  unsigned count = 0;
  EXPECT_EQ(nvml.nvmlDeviceGetCount(&count), NVML_ERROR_UNINITIALIZED);
  EXPECT_EQ(nvml.nvmlShutdown(), NVML_ERROR_UNINITIALIZED);
  ASSERT_EQ(nvml.nvmlInit(), NVML_SUCCESS);
  EXPECT_EQ(nvml.nvmlDeviceGetCount(&count), NVML_SUCCESS);
  EXPECT_EQ(count, 1u);
  EXPECT_EQ(nvml.nvmlShutdown(), NVML_SUCCESS);
  EXPECT_STREQ(nvml.nvmlErrorString(NVML_ERROR_LIB_RM_VERSION_MISMATCH), "Driver/library version mismatch");
}

TEST(SimNvml, CountsDevicesThatCudaDoesNotShow) {
  Sim sim("tiny-two", "", 0, "1");
  sim.start();
  sim.allocate(4 * kMiB);
  Nvml nvml(sim);
  ASSERT_EQ(nvml.nvmlInit(), NVML_SUCCESS);
  unsigned count = 0;
  EXPECT_EQ(nvml.nvmlDeviceGetCount(&count), NVML_SUCCESS);
  EXPECT_EQ(count, 2u);
  for (const unsigned index : {0u, 1u}) {
    nvmlDevice_t device = nullptr;
    ASSERT_EQ(nvml.nvmlDeviceGetHandleByIndex(index, &device), NVML_SUCCESS);
    nvmlProcessInfo_t own{};
    unsigned processes = 1;
    EXPECT_EQ(nvml.nvmlDeviceGetComputeRunningProcesses(device, &processes, &own), NVML_SUCCESS);
    EXPECT_EQ(processes, index) << "this one's, on the second device, which CUDA calls the first";
    EXPECT_EQ(own.usedGpuMemory, index * (8 + 4) * kMiB);
  }
}

TEST(SimNvml, TellsDriverDevicesAndSensors) {
  Sim sim("rtx-3050-laptop-6gb");
  Nvml nvml(sim);
  ASSERT_EQ(nvml.nvmlInit(), NVML_SUCCESS);
  char text[96];
  ASSERT_EQ(nvml.nvmlSystemGetDriverVersion(text, sizeof(text)), NVML_SUCCESS);
  EXPECT_STREQ(text, "535.183.01");
  EXPECT_EQ(nvml.nvmlSystemGetDriverVersion(text, 4), NVML_ERROR_INSUFFICIENT_SIZE);
  int cuda = 0;
  ASSERT_EQ(nvml.nvmlSystemGetCudaDriverVersion(&cuda), NVML_SUCCESS);
  EXPECT_EQ(cuda, 12020);
  const nvmlDevice_t device = nvml.device();
  ASSERT_EQ(nvml.nvmlDeviceGetUUID(device, text, sizeof(text)), NVML_SUCCESS);
  nvmlDevice_t same = nullptr;
  EXPECT_EQ(nvml.nvmlDeviceGetHandleByUUID(text, &same), NVML_SUCCESS);
  EXPECT_EQ(same, device);
  EXPECT_EQ(nvml.nvmlDeviceGetHandleByUUID("GPU-none", &same), NVML_ERROR_NOT_FOUND);
  EXPECT_EQ(nvml.nvmlDeviceGetHandleByIndex(1, &same), NVML_ERROR_INVALID_ARGUMENT);
  unsigned value = 0;
  ASSERT_EQ(nvml.nvmlDeviceGetTemperature(device, NVML_TEMPERATURE_GPU, &value), NVML_SUCCESS);
  EXPECT_EQ(value, 52u);
  ASSERT_EQ(nvml.nvmlDeviceGetMaxPcieLinkWidth(device, &value), NVML_SUCCESS);
  EXPECT_EQ(value, 8u);
  ASSERT_EQ(nvml.nvmlDeviceGetMaxClockInfo(device, NVML_CLOCK_MEM, &value), NVML_SUCCESS);
  EXPECT_EQ(value, 7001u);
  unsigned long long reasons = 0;
  ASSERT_EQ(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(device, &reasons), NVML_SUCCESS);
  EXPECT_EQ(reasons, nvmlClocksThrottleReasonGpuIdle);
}

TEST(SimNvml, CountsWhatCudaTakes) {
  Sim sim("tiny", "take mib=10 name=/usr/bin/other");
  Nvml nvml(sim);
  ASSERT_EQ(nvml.nvmlInit(), NVML_SUCCESS);
  const nvmlDevice_t device = nvml.device();
  EXPECT_EQ(nvml.memory(device).used, 10 * kMiB);
  sim.start();
  sim.allocate(3 * kMiB);
  const nvmlMemory_v2_t memory = nvml.memory(device);
  EXPECT_EQ(memory.total, 64 * kMiB);
  EXPECT_EQ(memory.reserved, 8 * kMiB);
  EXPECT_EQ(memory.used, (10 + 8 + 4) * kMiB) << "the other, our context, our allocation";
  EXPECT_EQ(memory.free, sim.free_bytes());

  unsigned count = 1;
  nvmlProcessInfo_t processes[4]{};
  EXPECT_EQ(nvml.nvmlDeviceGetComputeRunningProcesses(device, &count, processes), NVML_ERROR_INSUFFICIENT_SIZE);
  EXPECT_EQ(count, 2u);
  count = 4;
  ASSERT_EQ(nvml.nvmlDeviceGetComputeRunningProcesses(device, &count, processes), NVML_SUCCESS);
  ASSERT_EQ(count, 2u);
  EXPECT_EQ(processes[0].usedGpuMemory, 10 * kMiB);
  EXPECT_EQ(processes[1].pid, static_cast<unsigned>(getpid()));
  EXPECT_EQ(processes[1].usedGpuMemory, 12 * kMiB);
  char name[64];
  ASSERT_EQ(nvml.nvmlSystemGetProcessName(processes[0].pid, name, sizeof(name)), NVML_SUCCESS);
  EXPECT_STREQ(name, "/usr/bin/other");
  nvmlMemory_v2_t wrong{};
  EXPECT_EQ(nvml.nvmlDeviceGetMemoryInfo(device, &wrong), NVML_ERROR_INVALID_ARGUMENT) << "without its version";
}

TEST(SimNvml, IsBusyAfterALaunch) {
  Sim sim("tiny");
  Nvml nvml(sim);
  ASSERT_EQ(nvml.nvmlInit(), NVML_SUCCESS);
  nvmlUtilization_t rates{};
  ASSERT_EQ(nvml.nvmlDeviceGetUtilizationRates(nvml.device(), &rates), NVML_SUCCESS);
  EXPECT_EQ(rates.gpu, 0u);
  sim.start();
  const CUdeviceptr p = sim.allocate(4);
  ASSERT_EQ(sim.run(sim.function(sim.load_kernels(), "fill"), p, 1, 1), CUDA_SUCCESS);
  ASSERT_EQ(sim.cuCtxSynchronize(), CUDA_SUCCESS);
  ASSERT_EQ(nvml.nvmlDeviceGetUtilizationRates(nvml.device(), &rates), NVML_SUCCESS);
  EXPECT_EQ(rates.gpu, 100u);
}

TEST(SimNvml, SeparatesGraphicsFromComputing) {
  Sim sim("rtx-3050-laptop-6gb");
  Nvml nvml(sim);
  ASSERT_EQ(nvml.nvmlInit(), NVML_SUCCESS);
  unsigned count = 8;
  nvmlProcessInfo_t processes[8]{};
  ASSERT_EQ(nvml.nvmlDeviceGetComputeRunningProcesses(nvml.device(), &count, processes), NVML_SUCCESS);
  EXPECT_EQ(count, 0u);
  count = 8;
  ASSERT_EQ(nvml.nvmlDeviceGetGraphicsRunningProcesses(nvml.device(), &count, processes), NVML_SUCCESS);
  ASSERT_EQ(count, 3u);
  EXPECT_EQ(processes[2].usedGpuMemory, 856 * kMiB);
}

TEST(SimNvml, DoesNotKnowProcessesMemoryOnWsl2) {
  Sim sim("wsl2-rtx-3050");
  Nvml nvml(sim);
  ASSERT_EQ(nvml.nvmlInit(), NVML_SUCCESS);
  unsigned count = 8;
  nvmlProcessInfo_t processes[8]{};
  ASSERT_EQ(nvml.nvmlDeviceGetComputeRunningProcesses(nvml.device(), &count, processes), NVML_SUCCESS);
  ASSERT_EQ(count, 1u);
  EXPECT_EQ(processes[0].usedGpuMemory, NVML_VALUE_NOT_AVAILABLE);
}

TEST(SimNvml, LosesTheDeviceThatCudaLoses) {
  Sim sim("tiny", "lost call=cuCtxSynchronize#2");
  Nvml nvml(sim);
  ASSERT_EQ(nvml.nvmlInit(), NVML_SUCCESS);
  const nvmlDevice_t device = nvml.device();
  sim.start();
  EXPECT_EQ(sim.cuCtxSynchronize(), CUDA_SUCCESS);
  unsigned value = 0;
  EXPECT_EQ(nvml.nvmlDeviceGetPowerUsage(device, &value), NVML_SUCCESS);
  EXPECT_EQ(sim.cuCtxSynchronize(), CUDA_ERROR_UNKNOWN);
  EXPECT_EQ(nvml.nvmlDeviceGetPowerUsage(device, &value), NVML_ERROR_GPU_IS_LOST);
}

TEST(SimNvml, CanFailByTheScript) {
  Sim sim("tiny", "fail call=nvmlInit error=18");
  Nvml nvml(sim);
  EXPECT_EQ(nvml.nvmlInit(), NVML_ERROR_LIB_RM_VERSION_MISMATCH);
}

}  // namespace
}  // namespace hearth::sim
