// The devices that models and ops are tested on. A new device adds itself here.
#pragma once

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "base/processors.h"
#include "cpu/cpu_device.h"
#include "cuda/cuda_device.h"
#include "driver/cuda.h"
#include "support/reference_device.h"
#include "support/support.h"

namespace hearth::test {

struct TestDevice {
  std::string name;
  std::function<std::shared_ptr<device::Device>()> make;
  bool copies = false;  // weights are uploaded, also where the device could read them in host memory

  friend void PrintTo(const TestDevice& device, std::ostream* out) { *out << device.name; }
};

// The first GPU, if there is a driver: real, or simulated where the loader finds sim's (tests/CMakeLists.txt). Loading
// the kernels takes a while: all tests of a process share the device.
inline std::vector<TestDevice> gpus() {
  if (!cuda::has_kernels() || !driver::Cuda::open().ok()) return {};
  return {{"gpu",
           [] {
             static std::shared_ptr<device::Device> shared;
             if (shared != nullptr && !shared->alloc(1).ok()) shared = nullptr;  // lost in an earlier test
             if (shared == nullptr) {
               auto device = cuda::create_device({});
               EXPECT_TRUE(device.ok()) << device.error().message;
               shared = std::move(*device);
             }
             return shared;
           },
           true}};
}

// Every instruction set of this machine, with one thread and with two (and weights of its own); and its GPU.
inline std::vector<TestDevice> real_devices() {
  std::vector<TestDevice> devices = gpus();
  for (const std::string& isa : cpu::supported_isas()) {
    for (int threads = 1; threads <= std::min(2, usable_processors()); ++threads) {
      devices.push_back({"cpu_" + isa + "_" + std::to_string(threads),
                         [isa, threads] {
                           auto device = cpu::create_device({.threads = threads, .isa = isa});
                           EXPECT_TRUE(device.ok()) << device.error().message;
                           return std::shared_ptr<device::Device>(std::move(*device));
                         },
                         threads == 2});
    }
  }
  return devices;
}

inline TestDevice reference_device() {
  return {"reference", [] { return std::make_shared<ReferenceDevice>(); }, false};
}

inline std::vector<TestDevice> all_devices() {
  std::vector<TestDevice> devices = real_devices();
  devices.push_back(reference_device());
  return devices;
}

}  // namespace hearth::test
