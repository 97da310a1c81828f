#include "engine/device_status.h"

#include <fmt/format.h>

#include <algorithm>

namespace hearth::engine {

uint32_t DeviceStatus::layers_on_gpu() const {
  return static_cast<uint32_t>(std::ranges::count_if(layers, [&](uint32_t device) { return devices[device].gpu; }));
}

std::string DeviceStatus::placement() const {
  std::string text;
  for (uint32_t device = 0; device < devices.size(); ++device) {
    const auto count = std::ranges::count(layers, device);
    if (count == 0) continue;
    text += fmt::format("{}{}/{} layers on {}", text.empty() ? "" : ", ", count, layers.size(), devices[device].name);
  }
  return text;
}

std::string DeviceStatus::warning() const {
  if (!noteworthy || cause.empty()) return {};
  const size_t on_cpu = layers.size() - layers_on_gpu();
  const std::string what = on_cpu == layers.size()
                               ? std::string("the model runs on the CPU")
                               : fmt::format("{} of {} layers run on the CPU", on_cpu, layers.size());
  return fmt::format("{}: {}; {}", what, cause, remedy);
}

DeviceStatus on_one_device(std::string device, bool gpu, uint32_t blocks) {
  DeviceStatus status;
  status.devices = {{std::move(device), gpu}};
  status.layers.assign(size_t{blocks} + 1, 0);
  return status;
}

}  // namespace hearth::engine
