#include "cli/speed.h"

#include <algorithm>

#include "driver/cuda.h"

namespace hearth::cli {
namespace {

// The GPU behind a device, as the driver and NVML see it now.
driver::Gpu gpu_behind(const engine::DeviceStatus::Device& device) {
  const auto cuda = driver::Cuda::open();
  if (!cuda || device.ordinal < 0) {
    driver::Gpu unknown;
    unknown.name = device.name;
    return unknown;
  }
  driver::Gpu gpu = driver::static_facts(**cuda, device.ordinal);
  if (const auto nvml = driver::Nvml::open()) gpu.state = driver::read_state(**nvml, gpu.uuid);
  return gpu;
}

}  // namespace

std::optional<doctor::Finding> check_speed(const engine::DeviceStatus& devices, double tokens_per_s,
                                           double bytes_per_token) {
  if (devices.layers.empty() || !devices.wholly_on_gpu()) return std::nullopt;
  if (std::ranges::count(devices.layers, devices.layers[0]) != std::ssize(devices.layers)) return std::nullopt;
  const engine::DeviceStatus::Device& gpu = devices.devices[devices.layers[0]];
  const doctor::DecodeSpeed speed{tokens_per_s, bytes_per_token, static_cast<double>(gpu.bandwidth_bytes_per_s)};
  if (!doctor::is_slow(speed)) return std::nullopt;
  return doctor::explain_slow_decode(speed, gpu_behind(gpu), driver::look_at_machine());
}

}  // namespace hearth::cli
