#include "doctor/slow_decode.h"

#include <fmt/format.h>

#include "driver/cuda.h"

namespace hearth::doctor {
namespace {

// What a step takes besides reading: launches, the small ops between the products, sampling.
constexpr double kStepOverhead_s = 2e-3;
// Healthy GPUs reach at least half of the rated bandwidth in every weight format; below a third something is wrong.
constexpr double kSlow = 3;
constexpr double kLowClock = 0.6;     // of the highest clock
constexpr double kFullMemory = 0.02;  // free share below which a driver that can spill does
constexpr double kNarrowLink = 0.5;   // of the lanes that card and slot have

constexpr unsigned long long kHeat =
    nvmlClocksThrottleReasonSwThermalSlowdown | nvmlClocksThrottleReasonHwThermalSlowdown;
constexpr unsigned long long kPower = nvmlClocksThrottleReasonSwPowerCap | nvmlClocksThrottleReasonHwPowerBrakeSlowdown;
constexpr unsigned long long kHardware = nvmlClocksThrottleReasonHwSlowdown;

struct Cause {
  std::string cause, remedy;
};

double allowed_seconds(const DecodeSpeed& speed) {
  return speed.bytes_per_token / speed.bandwidth_bytes_per_s + kStepOverhead_s;
}

std::string clocks(const driver::GpuState& state) {
  if (!state.sm_mhz || !state.sm_max_mhz) return "";
  return fmt::format(" (clock {} of {} MHz)", *state.sm_mhz, *state.sm_max_mhz);
}

std::optional<Cause> throttled(const driver::GpuState& state) {
  const unsigned long long reasons = state.throttle_reasons.value_or(0);
  if ((reasons & (kHeat | kPower | kHardware)) == 0) return std::nullopt;
  std::string evidence =
      fmt::format("the GPU is slowed down by {}{}", driver::describe_throttle(reasons), clocks(state));
  if ((reasons & kHeat) != 0) {
    if (state.temperature_c) evidence += fmt::format(" at {} degrees C", *state.temperature_c);
    return Cause{evidence, "clean the fans, give the machine air, or lower the power limit (nvidia-smi -pl)"};
  }
  if ((reasons & kPower) != 0)
    return Cause{evidence,
                 "plug in the power supply, choose the performance mode, or raise the limit (nvidia-smi -pl)"};
  return Cause{evidence, "check the power cables and the supply of the GPU"};
}

std::optional<Cause> spilled(const driver::Gpu& gpu, const driver::Machine& machine) {
  const driver::GpuState& state = gpu.state;
  if (!machine.wsl || !state.free_bytes || !state.total_bytes) return std::nullopt;
  if (static_cast<double>(*state.free_bytes) > kFullMemory * static_cast<double>(*state.total_bytes))
    return std::nullopt;
  return Cause{"the memory of the GPU is full, and Windows moves what does not fit to the host behind PCIe",
               "close other programs, use a smaller --ctx, or set 'CUDA - Sysmem Fallback Policy' to 'Prefer No Sysmem "
               "Fallback' in the NVIDIA control panel"};
}

std::optional<Cause> shared(const driver::GpuState& state) {
  std::string others;
  for (const driver::GpuProcess& process : state.processes) {
    if (process.graphics) continue;
    others += fmt::format("{}{} (process {})", others.empty() ? "" : ", ", process.name.empty() ? "?" : process.name,
                          process.pid);
  }
  if (others.empty()) return std::nullopt;
  return Cause{fmt::format("other programs compute on this GPU: {}", others),
               "close them, or wait until they are done"};
}

std::optional<Cause> low_clocks(const driver::GpuState& state) {
  const auto low = [](const std::optional<unsigned>& now, const std::optional<unsigned>& most) {
    return now && most && *now < kLowClock * *most;
  };
  if (low(state.memory_mhz, state.memory_max_mhz))
    return Cause{fmt::format("the memory clock stays at {} of {} MHz", *state.memory_mhz, *state.memory_max_mhz),
                 "choose the performance mode of the machine, and remove clock limits (nvidia-smi -rmc -rgc)"};
  if (low(state.sm_mhz, state.sm_max_mhz))
    return Cause{fmt::format("the clock stays at {} of {} MHz", *state.sm_mhz, *state.sm_max_mhz),
                 "choose the performance mode of the machine, and remove clock limits (nvidia-smi -rgc)"};
  return std::nullopt;
}

std::optional<Cause> narrow_link(const driver::GpuState& state) {
  if (!state.pcie_lanes || !state.pcie_lanes_max || *state.pcie_lanes >= kNarrowLink * *state.pcie_lanes_max)
    return std::nullopt;
  return Cause{fmt::format("the GPU is connected by {} of {} PCIe lanes", *state.pcie_lanes, *state.pcie_lanes_max),
               "check that the card is seated well and in the slot nearest to the processor"};
}

driver::Gpu gpu_now(int ordinal, const std::string& name) {
  const auto cuda = driver::Cuda::open();
  if (!cuda || ordinal < 0) {
    driver::Gpu unknown;
    unknown.name = name;
    return unknown;
  }
  driver::Gpu gpu = driver::static_facts(**cuda, ordinal);
  if (const auto nvml = driver::Nvml::open()) gpu.state = driver::read_state(**nvml, gpu.uuid);
  return gpu;
}

}  // namespace

std::string SlowDecode::text() const {
  return fmt::format("{}: {}; {}", what, cause, remedy);
}

bool is_slow(const DecodeSpeed& speed) {
  if (speed.bandwidth_bytes_per_s <= 0 || speed.tokens_per_s <= 0) return false;
  return 1 / speed.tokens_per_s > kSlow * allowed_seconds(speed);
}

std::optional<SlowDecode> explain_slow_decode(const DecodeSpeed& speed, const driver::Gpu& gpu,
                                              const driver::Machine& machine) {
  if (!is_slow(speed)) return std::nullopt;
  std::optional<Cause> cause = throttled(gpu.state);
  if (!cause) cause = spilled(gpu, machine);
  if (!cause) cause = shared(gpu.state);
  if (!cause) cause = low_clocks(gpu.state);
  if (!cause) cause = narrow_link(gpu.state);
  if (!cause)
    cause = Cause{"the driver shows no reason (no throttling, no other program, full clocks)",
                  "compare with \"hearth bench\", which measures the GPU alone; a busy processor delays every step"};
  return SlowDecode{fmt::format("generation runs at {:.1f} tokens/s where the memory of {} allows about {:.0f}",
                                speed.tokens_per_s, gpu.name, 1 / allowed_seconds(speed)),
                    cause->cause, cause->remedy};
}

std::optional<SlowDecode> check_decode(const DecodeSpeed& speed, int ordinal, const std::string& name) {
  if (!is_slow(speed)) return std::nullopt;
  return explain_slow_decode(speed, gpu_now(ordinal, name), driver::look_at_machine());
}

}  // namespace hearth::doctor
