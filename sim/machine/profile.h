// A profile: what machine the simulated driver pretends to be. Profiles are JSON files (sim/profiles/, described in
// docs/simulator.md); every field that a file leaves out has the value that follows from the others.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hearth::sim {

// What a driver branch can do: the CUDA version it reports (12080: 12.8) and the newest PTX ISA it compiles (87: 8.7).
// Release notes of the CUDA toolkits, "CUDA Driver versions"; PTX ISA, "Release notes".
struct DriverProfile {
  std::string version = "580.95.05";
  int cuda_version = 0;
  int newest_ptx = 0;
};

// What NVML's sensors show. A negative number: this GPU has no such sensor (NVML_ERROR_NOT_SUPPORTED).
struct SensorProfile {
  int temperature_c = 45;
  int power_mw = 15000;
  int power_limit_mw = 115000;
  int power_limit_default_mw = 115000;  // left out: the limit itself
  int graphics_mhz = 300;
  int memory_mhz = 405;
  int utilization_gpu = 0;  // percent, while this machine's own kernels rest
  int utilization_memory = 0;
  std::uint64_t throttle_reasons = 1;  // bits of nvmlClocksThrottleReason*; 1: idle
  int pcie_generation = 4;
  int pcie_width = 16;
  int pcie_generation_max = 4;
  int pcie_width_max = 16;
  int persistence = 0;
};

struct DeviceProfile {
  std::string name;
  std::string uuid;                  // GPU-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx
  std::string pci_bus;               // 0000:01:00.0
  int compute_capability = 0;        // 86: 8.6
  std::uint64_t memory_bytes = 0;    // as NVML counts
  std::uint64_t reserved_bytes = 0;  // by driver and firmware: what CUDA does not see of it
  std::uint64_t context_bytes = 0;   // what a CUDA context takes before anything is allocated
  int multiprocessors = 0;
  int clock_khz = 0;
  int memory_clock_khz = 0;
  int bus_bits = 0;
  int l2_bytes = 0;
  int compute_mode = 0;  // CUcomputemode
  bool ecc = false;
  bool vmm = true;             // CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED
  bool process_memory = true;  // false: NVML does not know what a process uses (WDDM, WSL2)
  SensorProfile sensors;

  // What follows from the compute capability (CUDA C++ Programming Guide, "Compute Capabilities").
  int shared_per_multiprocessor = 0;
  int shared_per_block_optin = 0;
  int threads_per_multiprocessor = 0;
  int blocks_per_multiprocessor = 0;

  std::uint64_t cuda_total() const { return memory_bytes - reserved_bytes; }
};

// Another process that holds memory of a device, always or from one moment to another.
struct Moment {  // the earliest of those that are set; none set: never
  double second = -1;
  std::int64_t launch = -1;  // kernels launched on this machine
  std::string function;      // with `call`: that function's n-th call
  std::int64_t call = -1;
  std::string file;  // as soon as a file of that name exists
  bool never() const { return second < 0 && launch < 0 && call < 0 && file.empty(); }
};
struct OtherProcess {
  std::string name;
  unsigned pid = 0;
  int device = 0;
  std::uint64_t bytes = 0;
  bool graphics = false;
  bool always = true;  // from the start; otherwise from `from`
  Moment from;
  Moment until;
};

struct Profile {
  std::string name;
  std::string description;
  DriverProfile driver;
  std::vector<DeviceProfile> devices;
  std::vector<OtherProcess> processes;
};

// Reads "NAME[,key=value...]": a file of `folder` (without .json) or a path, and values that replace the file's:
// driver=535.183.01; for every device memory_mib, reserved_mib, context_mib, compute_capability (8.6), compute_mode,
// vmm (0 or 1).
Result<Profile> load_profile(const std::string& text, const std::string& folder);
Result<Profile> parse_profile(std::string_view json, const std::string& name);

// The CUDA version and the PTX version of a driver ("570.86.16"); kUnsupported for one older than 525.
Result<DriverProfile> describe_driver(const std::string& version);

// A time or count as faults and profiles write it: keys "second", "launch", "call" (FUNCTION or FUNCTION#N), "file".
Status set_moment(Moment& moment, std::string_view key, std::string_view value);

// Decimal numbers of texts.
Result<std::uint64_t> parse_count(std::string_view text);
Result<double> parse_number(std::string_view text);

}  // namespace hearth::sim
