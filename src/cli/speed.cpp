#include "cli/speed.h"

#include <fmt/format.h>

#include "driver/cuda.h"

namespace hearth::cli {
namespace {

// The GPU behind a device, as the driver and NVML see it now.
driver::Gpu gpu_of(const device::Facts& device) {
  driver::Gpu found;
  found.name = device.name;
  const auto cuda = driver::Cuda::open();
  int count = 0;
  if (!cuda || (*cuda)->cuDeviceGetCount(&count) != CUDA_SUCCESS) return found;
  for (int i = 0; i < count; ++i) {
    driver::Gpu gpu = driver::static_facts(**cuda, i);
    if (fmt::format("GPU {} ({})", i, gpu.name) != device.name) continue;
    if (const auto nvml = driver::Nvml::open()) gpu.state = driver::read_state(**nvml, gpu.uuid);
    return gpu;
  }
  return found;
}

}  // namespace

std::optional<doctor::Finding> check_speed(const device::Device& device, const engine::DeviceStatus& devices,
                                           double tokens_per_s, double bytes_per_token) {
  if (devices.layers.empty() || devices.layers_on_gpu() != devices.layers.size()) return std::nullopt;
  const device::Facts facts = device.facts();
  const doctor::DecodeSpeed speed{tokens_per_s, bytes_per_token, static_cast<double>(facts.bandwidth_bytes_per_s)};
  if (!doctor::is_slow(speed)) return std::nullopt;
  return doctor::explain_slow_decode(speed, gpu_of(facts), driver::look_at_machine());
}

}  // namespace hearth::cli
