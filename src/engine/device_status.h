// Where a model's layers are, and if not all of them are on a GPU, why: one structure for every surface that shows
// it (messages, log, --verbose, bench, later the server's health, ps and metrics).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/cause.h"
#include "models/memory.h"

namespace hearth::engine {

struct DeviceStatus {
  struct Device {
    std::string name;  // "CPU (AVX-512, 2 threads)", "GPU 0 (NVIDIA H200)"
    bool gpu = false;
    uint64_t bandwidth_bytes_per_s = 0;  // as the hardware is rated; 0: unknown
    models::Memory memory = {};          // of the model there, as it is now
    // When the model was loaded: what the plan promised, and what the device's free memory lost. 0: not known.
    uint64_t promised_bytes = 0, taken_bytes = 0;
    int ordinal = -1;     // the driver's number of a GPU in this process
    std::string id = {};  // device::Facts::id
  };
  std::vector<Device> devices;
  // For every transformer block and then the output layer, which of `devices` it is on: one more than the model
  // has blocks. Empty once a device was lost and the model could not be placed again.
  std::vector<uint32_t> layers;
  // For every block, where its expert weights are; empty if all are with their layers.
  std::vector<uint32_t> experts;

  bool gpu_wanted = true;  // false: the user said --gpu off
  // Why not every layer is on a GPU; empty if all are, or if none was wanted.
  Cause cause;

  // How often something has moved since the load, and the last time in words: "memory became free: 33/33 layers ...".
  uint64_t changes = 0;
  std::string last_change;
  // How long it took to make a lost device anew and to place the model again, the last time.
  std::chrono::nanoseconds recovery{0};

  uint32_t layers_on_gpu() const;
  uint32_t experts_on_cpu() const;  // of layers that are on a GPU
  bool wholly_on_gpu() const { return !layers.empty() && layers_on_gpu() == layers.size() && experts_on_cpu() == 0; }
  const Device* only_gpu() const;  // where all of the model is; null if that is not one GPU
  models::Memory memory() const;   // on all devices
  uint64_t gpu_bytes() const;      // of it, on GPUs
  // "33/33 layers on GPU 0 (NVIDIA H200), 4.37 GiB weights, 512 MiB cache", or several of them; empty if nothing is
  // loaded.
  std::string placement() const;
  // One line: "the model runs on the CPU: <cause>; <remedy>" or "13 of 33 layers run on the CPU: ..."; empty if
  // there is nothing to warn of.
  std::string warning() const;
};

// A whole model of `blocks` transformer blocks on one device.
DeviceStatus on_one_device(std::string device, bool gpu, uint32_t blocks);

}  // namespace hearth::engine
