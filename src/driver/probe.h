// Facts about the GPUs of this machine as plain data, and where none can be used, why. Asks the driver only; makes
// no decision. Never fails as a whole: what cannot be found out is absent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "driver/cuda.h"
#include "driver/machine.h"
#include "driver/nvml.h"

namespace hearth::driver {

struct GpuProcess {
  unsigned pid = 0;
  std::string name;               // the program's, without its folder; empty if not known
  std::optional<uint64_t> bytes;  // of this GPU's memory; unknown in some containers and on WSL2
  bool graphics = false;          // draws on a screen
};

// What NVML tells of a GPU.
struct GpuState {
  std::optional<uint64_t> total_bytes, free_bytes, used_bytes, reserved_bytes;
  std::optional<unsigned> utilization_percent;  // of the last second or so: a kernel ran
  std::optional<unsigned> temperature_c, power_mw, power_limit_mw;
  std::optional<unsigned> sm_mhz, sm_max_mhz, memory_mhz, memory_max_mhz;
  std::optional<unsigned long long> throttle_reasons;  // nvmlClocksThrottleReason...; see describe_throttle()
  std::optional<unsigned> pcie_generation, pcie_lanes, pcie_generation_max, pcie_lanes_max;
  std::optional<bool> persistence;
  std::optional<uint64_t> own_bytes;  // of this process, as the driver counts it
  // Other than this one. May lack some: processes of other containers, or all on WSL2.
  std::vector<GpuProcess> processes;
};

struct Gpu {
  int ordinal = -1;                    // CUDA's number in this process; -1: seen by NVML only
  std::string name, uuid;              // "NVIDIA GeForce RTX 4090", "GPU-8e3d..." (a MIG slice: "MIG-...")
  std::string pci_bus_id;              // "0000:01:00.0"
  int capability = 0;                  // compute capability: 89 is 8.9; 0 if not known
  uint64_t total_bytes = 0;            // of its memory
  std::optional<uint64_t> free_bytes;  // as CUDA says with a context open (which takes some itself)
  double memory_bytes_per_s = 0;       // memory clock times bus width; 0 if not known
  int multiprocessors = 0;
  bool integrated = false;  // shares the host's memory
  GpuState state;
  std::optional<Problem> problem;  // why no program can use it now: compute mode, a context that cannot be opened
};

struct Probe {
  Machine machine;
  std::string driver_version;  // "550.54.14"; empty if not known
  int cuda_version = 0;        // 12040; 0 if the driver cannot be used
  std::string library;         // the file of libcuda.so.1
  std::vector<Gpu> gpus;
  std::optional<Problem> problem;  // why CUDA cannot be used at all
  std::string nvml_problem;        // why NVML cannot; empty if it can
};

struct ProbeOptions {
  bool open_contexts = true;  // to learn the free memory and whether a context can be opened; takes a moment
  // With a library that does not answer, for each question.
  std::chrono::milliseconds cuda_patience = Cuda::kPatience, nvml_patience = Nvml::kPatience;
  std::string cuda_library = Cuda::kLibrary, nvml_library = Nvml::kLibrary;
};

Probe probe(const ProbeOptions& options = {});

// The parts, for those who have the driver open: what does not change, and what does. `nvml` may be null.
std::string uuid_of(const Cuda& cuda, CUdevice device);  // empty if not known
Gpu static_facts(const Cuda& cuda, int ordinal);
GpuState read_state(const Nvml& nvml, const std::string& uuid);

}  // namespace hearth::driver
