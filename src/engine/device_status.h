// Where a model's layers are, and if not all of them are on a GPU, why: one structure for every surface that shows
// it (messages, log, --verbose, bench, later the server's health, ps and metrics).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hearth::engine {

struct DeviceStatus {
  struct Device {
    std::string name;  // "CPU (AVX-512, 2 threads)", "GPU 0 (NVIDIA H200)"
    bool gpu = false;
  };
  std::vector<Device> devices;
  // For every transformer block and then the output layer, which of `devices` it is on: one more than the model
  // has blocks.
  std::vector<uint32_t> layers;

  bool gpu_wanted = true;  // false: the user said --gpu off
  // Why not every layer is on a GPU; empty if all are, or if none was wanted.
  std::string cause, remedy;
  // False where the cause is just that this machine shows no sign of a GPU: nothing to warn of.
  bool noteworthy = false;

  uint32_t layers_on_gpu() const;
  // "33/33 layers on GPU 0 (NVIDIA H200)", "20/33 layers on GPU 0 (...), 13/33 layers on CPU (...)"; empty if
  // nothing is loaded.
  std::string placement() const;
  // One line: "the model runs on the CPU: <cause>; <remedy>" or "13 of 33 layers run on the CPU: ..."; empty if
  // there is nothing to warn of.
  std::string warning() const;
};

// A whole model of `blocks` transformer blocks on one device.
DeviceStatus on_one_device(std::string device, bool gpu, uint32_t blocks);

}  // namespace hearth::engine
