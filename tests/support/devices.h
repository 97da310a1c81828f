// The devices that models and ops are tested on. A new device adds itself here.
#pragma once

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "cpu/cpu_device.h"
#include "support/reference_device.h"
#include "support/support.h"

namespace hearth::test {

struct TestDevice {
  std::string name;
  std::function<std::unique_ptr<device::Device>()> make;

  friend void PrintTo(const TestDevice& device, std::ostream* out) { *out << device.name; }
};

// Every instruction set of this machine, with one thread and with two.
inline std::vector<TestDevice> real_devices() {
  std::vector<TestDevice> devices;
  for (const std::string& isa : cpu::supported_isas()) {
    for (int threads = 1; threads <= std::min(2, cpu::usable_processors()); ++threads) {
      devices.push_back({"cpu_" + isa + "_" + std::to_string(threads), [isa, threads] {
                           auto device = cpu::create_device({.threads = threads, .isa = isa});
                           EXPECT_TRUE(device.ok()) << device.error().message;
                           return std::move(*device);
                         }});
    }
  }
  return devices;
}

inline TestDevice reference_device() {
  return {"reference", [] { return std::make_unique<ReferenceDevice>(); }};
}

inline std::vector<TestDevice> all_devices() {
  std::vector<TestDevice> devices = real_devices();
  devices.push_back(reference_device());
  return devices;
}

}  // namespace hearth::test
