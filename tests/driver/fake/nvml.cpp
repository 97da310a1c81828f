// A small libnvidia-ml.so.1 that misbehaves on demand. FAKE_NVML is one of
//   (unset)  a healthy library of one GPU
//   hang     nvmlInit() does not return;   late: it does, but the device's questions do not
//   garbage  counts and texts that no library should give
//   a number: what nvmlInit() answers
// It lacks most functions of the table, as an old one might.
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>

#include "driver/nvml_abi.h"

namespace {

bool mode(std::string_view name) {
  const char* text = std::getenv("FAKE_NVML");
  return text != nullptr && text == name;
}

void sleep_long() {
  std::this_thread::sleep_for(std::chrono::hours(1));
}

}  // namespace

extern "C" {

nvmlReturn_t nvmlInit_v2() {
  if (mode("hang")) sleep_long();
  const char* text = std::getenv("FAKE_NVML");
  return text != nullptr ? static_cast<nvmlReturn_t>(std::atoi(text)) : NVML_SUCCESS;
}

nvmlReturn_t nvmlShutdown() {
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned* count) {
  *count = mode("garbage") ? ~0u : 1;
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t* device) {
  if (index > 2) return NVML_ERROR_INVALID_ARGUMENT;
  *device = reinterpret_cast<nvmlDevice_t>(0x300);
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetHandleByUUID(const char* uuid, nvmlDevice_t* device) {
  if (mode("late")) sleep_long();
  if (std::string_view(uuid) != "GPU-f0f1f2f3-f4f5-f6f7-f8f9-fafbfcfdfeff") return NVML_ERROR_NOT_FOUND;
  *device = reinterpret_cast<nvmlDevice_t>(0x300);
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t, char* name, unsigned length) {
  if (mode("garbage")) {
    std::memset(name, 'x', length);  // without a final zero
  } else {
    std::strncpy(name, "Fake GPU", length);
  }
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t, nvmlMemory_v2_t* memory) {
  if (memory->version != nvmlMemory_v2) return NVML_ERROR_INVALID_ARGUMENT;
  memory->total = 24ull << 30;
  memory->reserved = 300ull << 20;
  memory->used = 2ull << 30;
  memory->free = memory->total - memory->used - memory->reserved;
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t, nvmlClockType_t type, unsigned* mhz) {
  *mhz = type == NVML_CLOCK_MEM ? 10501 : 2520;
  return NVML_SUCCESS;
}

// As many as there are places, at first: the list grows while it is read.
nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t, unsigned* count, nvmlProcessInfo_t* processes) {
  if (mode("garbage")) {
    *count = ~0u;
    return NVML_SUCCESS;
  }
  constexpr unsigned kProcesses = 70;
  if (*count < kProcesses) {
    *count = kProcesses;
    return NVML_ERROR_INSUFFICIENT_SIZE;
  }
  *count = kProcesses;
  for (unsigned i = 0; i < kProcesses; ++i) {
    processes[i] = {4000000 + i, i == 0 ? NVML_VALUE_NOT_AVAILABLE : 856ull << 20, 0xFFFFFFFF, 0xFFFFFFFF};
  }
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlSystemGetProcessName(unsigned pid, char* name, unsigned length) {
  std::strncpy(name, pid == 4000001 ? "/opt/google/chrome/chrome --type=gpu-process" : "/usr/bin/Xorg", length);
  return NVML_SUCCESS;
}
}
