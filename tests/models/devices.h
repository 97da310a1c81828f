// The devices that every model is tested on.
#pragma once

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "support/reference_device.h"

namespace hearth::test {

struct TestDevice {
  std::string name;
  std::function<std::unique_ptr<device::Device>()> make;

  friend void PrintTo(const TestDevice& device, std::ostream* out) { *out << device.name; }
};

inline std::vector<TestDevice> test_devices() {
  std::vector<TestDevice> devices;
  devices.push_back({"reference", [] { return std::make_unique<ReferenceDevice>(); }});
  return devices;
}

}  // namespace hearth::test
