#include "engine/device_status.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace hearth::engine {

uint32_t DeviceStatus::layers_on_gpu() const {
  return static_cast<uint32_t>(std::ranges::count_if(layers, [&](uint32_t device) { return devices[device].gpu; }));
}

uint32_t DeviceStatus::experts_on_cpu() const {
  uint32_t count = 0;
  for (size_t i = 0; i < experts.size(); ++i)
    if (devices[layers[i]].gpu && !devices[experts[i]].gpu) ++count;
  return count;
}

const DeviceStatus::Device* DeviceStatus::only_gpu() const {
  if (!wholly_on_gpu() || !experts.empty()) return nullptr;
  return std::ranges::count(layers, layers[0]) == std::ssize(layers) ? &devices[layers[0]] : nullptr;
}

uint64_t DeviceStatus::gpu_bytes() const {
  uint64_t bytes = 0;
  for (const Device& device : devices) bytes += device.gpu ? device.memory.total() : 0;
  return bytes;
}

models::Memory DeviceStatus::memory() const {
  models::Memory sum;
  for (const Device& device : devices) {
    sum.weights += device.memory.weights;
    sum.cache += device.memory.cache;
    sum.workspace += device.memory.workspace;
  }
  return sum;
}

std::string DeviceStatus::placement() const {
  std::string text;
  for (uint32_t device = 0; device < devices.size(); ++device) {
    const Device& on = devices[device];
    const auto count = std::ranges::count(layers, device);
    size_t apart = 0;  // experts here of layers elsewhere
    for (size_t i = 0; i < experts.size(); ++i) apart += experts[i] == device && layers[i] != device ? 1 : 0;
    if (count == 0 && apart == 0) continue;
    text += fmt::format("{}{}/{} layers on {}", text.empty() ? "" : ", ", count, layers.size(), on.name);
    if (apart > 0) text += fmt::format(" with the experts of {}", apart);
    if (on.memory.total() > 0)
      text += fmt::format(", {} weights, {} cache", size_text(on.memory.weights), size_text(on.memory.cache));
  }
  return text;
}

std::string DeviceStatus::warning() const {
  if (!cause.noteworthy || cause.empty() || wholly_on_gpu()) return {};
  const size_t on_cpu = layers.size() - layers_on_gpu();
  const uint32_t apart = experts_on_cpu();
  std::string what = fmt::format("the experts of {} layer{} run on the CPU", apart, apart == 1 ? "" : "s");
  if (on_cpu > 0) what = fmt::format("{} of {} layers run on the CPU", on_cpu, layers.size());
  if (on_cpu == layers.size()) what = "the model runs on the CPU";
  if (layers.empty()) what = "the model is on no device";
  return fmt::format("{}: {}", what, text_of(cause));
}

DeviceStatus on_one_device(std::string device, bool gpu, uint32_t blocks) {
  DeviceStatus status;
  status.devices = {{std::move(device), gpu}};
  status.layers.assign(size_t{blocks} + 1, 0);
  return status;
}

}  // namespace hearth::engine
