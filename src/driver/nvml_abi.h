// The part of the NVIDIA Management Library's binary interface that hearth uses: names, values and layouts of
// NVIDIA's "NVML API Reference" (Linux, 64 bits). NVML tells what CUDA does not: other processes and their
// memory, clocks and why they are held down, PCIe links. Functions: nvml_api.def.
#pragma once

#include <stddef.h>

typedef struct nvmlDevice_st* nvmlDevice_t;

enum nvmlReturn_t : int {
  NVML_SUCCESS = 0,
  NVML_ERROR_UNINITIALIZED = 1,
  NVML_ERROR_INVALID_ARGUMENT = 2,
  NVML_ERROR_NOT_SUPPORTED = 3,
  NVML_ERROR_NO_PERMISSION = 4,
  NVML_ERROR_ALREADY_INITIALIZED = 5,
  NVML_ERROR_NOT_FOUND = 6,
  NVML_ERROR_INSUFFICIENT_SIZE = 7,
  NVML_ERROR_INSUFFICIENT_POWER = 8,
  NVML_ERROR_DRIVER_NOT_LOADED = 9,
  NVML_ERROR_TIMEOUT = 10,
  NVML_ERROR_IRQ_ISSUE = 11,
  NVML_ERROR_LIBRARY_NOT_FOUND = 12,
  NVML_ERROR_FUNCTION_NOT_FOUND = 13,
  NVML_ERROR_CORRUPTED_INFOROM = 14,
  NVML_ERROR_GPU_IS_LOST = 15,
  NVML_ERROR_RESET_REQUIRED = 16,
  NVML_ERROR_OPERATING_SYSTEM = 17,
  NVML_ERROR_LIB_RM_VERSION_MISMATCH = 18,
  NVML_ERROR_IN_USE = 19,
  NVML_ERROR_MEMORY = 20,
  NVML_ERROR_NO_DATA = 21,
  NVML_ERROR_INSUFFICIENT_RESOURCES = 23,
  NVML_ERROR_GPU_NOT_FOUND = 28,
  NVML_ERROR_UNKNOWN = 999,
};

enum nvmlTemperatureSensors_t : int {
  NVML_TEMPERATURE_GPU = 0,
};

enum nvmlClockType_t : int {
  NVML_CLOCK_GRAPHICS = 0,
  NVML_CLOCK_SM = 1,
  NVML_CLOCK_MEM = 2,
  NVML_CLOCK_VIDEO = 3,
};

enum nvmlEnableState_t : int {
  NVML_FEATURE_DISABLED = 0,
  NVML_FEATURE_ENABLED = 1,
};

enum nvmlComputeMode_t : int {
  NVML_COMPUTEMODE_DEFAULT = 0,
  NVML_COMPUTEMODE_PROHIBITED = 2,
  NVML_COMPUTEMODE_EXCLUSIVE_PROCESS = 3,
};

enum nvmlGpuVirtualizationMode_t : int {
  NVML_GPU_VIRTUALIZATION_MODE_NONE = 0,
  NVML_GPU_VIRTUALIZATION_MODE_PASSTHROUGH = 1,
  NVML_GPU_VIRTUALIZATION_MODE_VGPU = 2,
};

enum nvmlMemoryErrorType_t : int {
  NVML_MEMORY_ERROR_TYPE_CORRECTED = 0,
  NVML_MEMORY_ERROR_TYPE_UNCORRECTED = 1,
};

enum nvmlEccCounterType_t : int {
  NVML_VOLATILE_ECC = 0,   // since the driver was loaded
  NVML_AGGREGATE_ECC = 1,  // since the card was made
};

// Why the clocks are below their maximum (bits; "clocks event reasons" in documents since 535).
enum : unsigned long long {
  nvmlClocksThrottleReasonGpuIdle = 0x1,
  nvmlClocksThrottleReasonApplicationsClocksSetting = 0x2,
  nvmlClocksThrottleReasonSwPowerCap = 0x4,
  nvmlClocksThrottleReasonHwSlowdown = 0x8,
  nvmlClocksThrottleReasonSyncBoost = 0x10,
  nvmlClocksThrottleReasonSwThermalSlowdown = 0x20,
  nvmlClocksThrottleReasonHwThermalSlowdown = 0x40,
  nvmlClocksThrottleReasonHwPowerBrakeSlowdown = 0x80,
  nvmlClocksThrottleReasonDisplayClockSetting = 0x100,
};

// Sizes that hold every string of that kind, with its final zero.
enum : unsigned {
  NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE = 80,
  NVML_DEVICE_UUID_V2_BUFFER_SIZE = 96,
  NVML_DEVICE_NAME_V2_BUFFER_SIZE = 96,
};

typedef struct nvmlUtilization_st {
  unsigned int gpu;     // percent of the last sample period in which a kernel ran
  unsigned int memory;  // percent in which device memory was read or written
} nvmlUtilization_t;

typedef struct nvmlMemory_v2_st {
  unsigned int version;  // in: nvmlMemory_v2
  unsigned long long total;
  unsigned long long reserved;  // by driver and firmware
  unsigned long long free;
  unsigned long long used;  // without what is reserved
} nvmlMemory_v2_t;

typedef struct nvmlGpuFabricInfo_st {
  unsigned char clusterUuid[16];
  nvmlReturn_t status;
  unsigned int cliqueId;
  unsigned char state;  // 0 not supported, 1 not started, 2 in progress, 3 completed
} nvmlGpuFabricInfo_t;

// A versioned structure's version field: its size, and its version in the top byte.
enum : unsigned {
  nvmlMemory_v2 = sizeof(nvmlMemory_v2_t) | (2u << 24),
};

// NVML_VALUE_NOT_AVAILABLE stands in usedGpuMemory where the driver does not know (Windows' WDDM, some containers).
enum : unsigned long long {
  NVML_VALUE_NOT_AVAILABLE = ~0ull,
};

// The form of the _v3 functions, also called nvmlProcessInfo_v2_t.
typedef struct nvmlProcessInfo_st {
  unsigned int pid;
  unsigned long long usedGpuMemory;  // bytes, or NVML_VALUE_NOT_AVAILABLE
  unsigned int gpuInstanceId;        // 0xFFFFFFFF without MIG
  unsigned int computeInstanceId;
} nvmlProcessInfo_t;
