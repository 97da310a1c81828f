#include "fleet/cards.h"

#include <optional>

#include "base/log.h"
#include "cuda/gpu_owner.h"
#include "driver/patience.h"
#include "driver/probe.h"

namespace hearth::fleet {
namespace {

constexpr std::chrono::seconds kPatience{5}, kTry_again{60};
constexpr double kMega = 1e6, kMilli = 1e-3, kHundredth = 1e-2;

using Clock = std::chrono::steady_clock;

template <class T>
std::optional<double> scaled(const std::optional<T>& value, double unit) {
  return value ? std::optional(static_cast<double>(*value) * unit) : std::nullopt;
}
std::optional<uint64_t> widened(const std::optional<unsigned>& value) {
  return value ? std::optional<uint64_t>(*value) : std::nullopt;
}

std::vector<std::string> throttle_list(unsigned long long reasons) {
  std::vector<std::string> list;
  std::string text = driver::describe_throttle(reasons);
  while (!text.empty()) {
    const size_t comma = text.find(", ");
    list.push_back(text.substr(0, comma));
    text.erase(0, comma == std::string::npos ? comma : comma + 2);
  }
  return list;
}

void add_state(metrics::GpuFigures& gpu, const driver::GpuState& state, uint64_t models_bytes) {
  gpu.free_bytes = state.free_bytes;
  gpu.utilization_ratio = scaled(state.utilization_percent, kHundredth);
  gpu.sm_hertz = scaled(state.sm_mhz, kMega);
  gpu.sm_max_hertz = scaled(state.sm_max_mhz, kMega);
  gpu.memory_hertz = scaled(state.memory_mhz, kMega);
  gpu.memory_max_hertz = scaled(state.memory_max_mhz, kMega);
  gpu.power_watts = scaled(state.power_mw, kMilli);
  gpu.power_limit_watts = scaled(state.power_limit_mw, kMilli);
  gpu.temperature_celsius = scaled(state.temperature_c, 1);
  gpu.throttled = throttle_list(state.throttle_reasons.value_or(0));
  gpu.pcie_generation = widened(state.pcie_generation);
  gpu.pcie_generation_max = widened(state.pcie_generation_max);
  gpu.pcie_lanes = widened(state.pcie_lanes);
  gpu.pcie_lanes_max = widened(state.pcie_lanes_max);
  if (state.own_bytes.value_or(0) > models_bytes)
    gpu.parts.push_back({"hearth", "context", *state.own_bytes - models_bytes, 0});
  for (const driver::GpuProcess& process : state.processes)
    gpu.parts.push_back({process.name, "process", process.bytes.value_or(0), process.pid});
}

void add_busy(metrics::GpuFigures& gpu) {
  const auto cuda = driver::Cuda::open();
  if (gpu.ordinal < 0 || !cuda) return;
  const auto busy = cuda::GpuOwner::of(**cuda, static_cast<int>(gpu.ordinal)).busy();
  gpu.busy_seconds = std::chrono::duration<double>(busy).count();
}

// One each; none without NVML, nothing where it does not answer.
std::optional<std::vector<driver::GpuState>> ask_driver(const std::vector<metrics::GpuFigures>& gpus) {
  std::vector<std::string> ids;
  for (const metrics::GpuFigures& gpu : gpus) ids.push_back(gpu.id);
  return driver::with_patience(kPatience, [ids] {
    std::vector<driver::GpuState> list;
    const auto nvml = driver::Nvml::open();
    if (!nvml) return list;
    for (const std::string& id : ids) list.push_back(driver::read_state(**nvml, id));
    return list;
  });
}

}  // namespace

bool Cards::find() {
  if (searched_) return true;
  if (Clock::now() < find_again_) return false;
  const auto probe = driver::with_patience(kPatience, [] { return driver::probe({.open_contexts = false}); });
  find_again_ = Clock::now() + kTry_again;
  if (!probe) {
    log_warn("the GPU driver does not answer within {} seconds: its GPUs are not shown", kPatience.count());
    return false;
  }
  for (const driver::Gpu& gpu : probe->gpus) {
    metrics::GpuFigures figures;
    figures.id = gpu.uuid.empty() ? gpu.name : gpu.uuid;
    figures.name = gpu.name;
    figures.ordinal = gpu.ordinal >= 0 ? gpu.ordinal : static_cast<int64_t>(found_.size());
    figures.total_bytes = gpu.total_bytes;
    found_.push_back(std::move(figures));
  }
  searched_ = true;
  return true;
}

std::vector<metrics::GpuFigures> Cards::look(bool ask, const std::map<std::string, uint64_t>& own_bytes) {
  if (!find() || found_.empty()) return {};
  std::vector<metrics::GpuFigures> gpus = found_;
  std::optional<std::vector<driver::GpuState>> states;
  if (ask && Clock::now() >= ask_again_) {
    states = ask_driver(gpus);
    if (!states) ask_again_ = Clock::now() + kTry_again;
  }
  for (size_t i = 0; i < gpus.size(); ++i) {
    add_busy(gpus[i]);
    const auto own = own_bytes.find(gpus[i].id);
    if (states && !states->empty()) add_state(gpus[i], (*states)[i], own == own_bytes.end() ? 0 : own->second);
  }
  return gpus;
}

uint64_t held_bytes(int ordinal, const std::string& model) {
  const auto cuda = driver::Cuda::open();
  if (ordinal < 0 || !cuda) return 0;
  uint64_t bytes = 0;
  for (const cuda::GpuOwner::Holding& holding : cuda::GpuOwner::of(**cuda, ordinal).holdings())
    if (holding.holder == model) bytes += holding.bytes;
  return bytes;
}

}  // namespace hearth::fleet
