#include "doctor/slow_decode.h"

#include <gtest/gtest.h>

namespace hearth::doctor {
namespace {

// 4.4 GB of weights on a card with 1008 GB/s: about 157 tokens/s with the overhead of a step.
DecodeSpeed speed(double tokens_per_s) {
  return {tokens_per_s, 4.4e9, 1008e9};
}

driver::Gpu healthy() {
  driver::Gpu gpu;
  gpu.name = "NVIDIA GeForce RTX 4090";
  gpu.state.total_bytes = 24ull << 30;
  gpu.state.free_bytes = 18ull << 30;
  gpu.state.sm_mhz = 2520;
  gpu.state.sm_max_mhz = 2610;
  gpu.state.memory_mhz = gpu.state.memory_max_mhz = 10501;
  gpu.state.pcie_lanes = gpu.state.pcie_lanes_max = 16;
  gpu.state.throttle_reasons = 0;
  return gpu;
}

std::string why(const driver::Gpu& gpu, bool wsl = false) {
  driver::Machine machine;
  machine.wsl = wsl;
  const std::optional<SlowDecode> slow = explain_slow_decode(speed(12), gpu, machine);
  return slow ? slow->text() : "nothing";
}

TEST(SlowDecode, SaysNothingOfASpeedNearWhatTheMemoryAllows) {
  driver::Gpu hot = healthy();
  hot.state.throttle_reasons = nvmlClocksThrottleReasonSwThermalSlowdown;
  EXPECT_FALSE(explain_slow_decode(speed(110), hot, {}).has_value());
  EXPECT_TRUE(is_slow(speed(40)));
  EXPECT_FALSE(is_slow(speed(60)));
}

TEST(SlowDecode, SaysNothingWithoutAKnownBandwidthOrRate) {
  EXPECT_FALSE(is_slow({1, 4.4e9, 0}));
  EXPECT_FALSE(is_slow({0, 4.4e9, 1008e9}));
}

// A 5 MB model reads its weights in microseconds; what a step costs besides must not look like a fault.
TEST(SlowDecode, AllowsASmallModelTheOverheadOfItsSteps) {
  EXPECT_FALSE(is_slow({300, 5e6, 1008e9}));
}

TEST(SlowDecode, NamesTheRateTheLimitAndTheGpu) {
  const std::string text = why(healthy());
  EXPECT_NE(text.find("12.0 tokens/s"), std::string::npos) << text;
  EXPECT_NE(text.find("RTX 4090 allows about 157"), std::string::npos) << text;
}

TEST(SlowDecode, NamesHeatWithTheTemperatureBeforeAnythingElse) {
  driver::Gpu gpu = healthy();
  gpu.state.throttle_reasons = nvmlClocksThrottleReasonHwThermalSlowdown | nvmlClocksThrottleReasonSwPowerCap;
  gpu.state.temperature_c = 91;
  gpu.state.sm_mhz = 600;
  gpu.state.processes.push_back({77, "python3", std::nullopt, false});
  const std::string text = why(gpu);
  EXPECT_NE(text.find("slowed down by"), std::string::npos) << text;
  EXPECT_NE(text.find("600 of 2610 MHz"), std::string::npos) << text;
  EXPECT_NE(text.find("91 degrees C"), std::string::npos) << text;
  EXPECT_NE(text.find("fans"), std::string::npos) << text;
}

TEST(SlowDecode, NamesThePowerLimit) {
  driver::Gpu gpu = healthy();
  gpu.state.throttle_reasons = nvmlClocksThrottleReasonSwPowerCap;
  EXPECT_NE(why(gpu).find("nvidia-smi -pl"), std::string::npos) << why(gpu);
}

TEST(SlowDecode, IdlenessIsNoReason) {
  driver::Gpu gpu = healthy();
  gpu.state.throttle_reasons = nvmlClocksThrottleReasonGpuIdle;
  EXPECT_NE(why(gpu).find("no reason"), std::string::npos) << why(gpu);
}

TEST(SlowDecode, NamesOtherProgramsButNotTheDesktop) {
  driver::Gpu gpu = healthy();
  gpu.state.processes = {{1, "Xorg", 100u << 20, true}, {77, "python3", 4ull << 30, false}};
  const std::string text = why(gpu);
  EXPECT_NE(text.find("python3 (process 77)"), std::string::npos) << text;
  EXPECT_EQ(text.find("Xorg"), std::string::npos) << text;
}

TEST(SlowDecode, NamesMemoryThatSpillsToTheHostOnlyWhereTheDriverDoesThat) {
  driver::Gpu gpu = healthy();
  gpu.state.free_bytes = 100u << 20;
  EXPECT_NE(why(gpu, true).find("Sysmem Fallback"), std::string::npos) << why(gpu, true);
  EXPECT_EQ(why(gpu, false).find("Sysmem Fallback"), std::string::npos) << why(gpu, false);
}

TEST(SlowDecode, NamesLowClocksAndANarrowLink) {
  driver::Gpu slow_memory = healthy();
  slow_memory.state.memory_mhz = 405;
  EXPECT_NE(why(slow_memory).find("405 of 10501 MHz"), std::string::npos) << why(slow_memory);
  driver::Gpu loose = healthy();
  loose.state.pcie_lanes = 1;
  EXPECT_NE(why(loose).find("1 of 16 PCIe lanes"), std::string::npos) << why(loose);
}

// NVML may be absent: nothing is known, nothing is claimed.
TEST(SlowDecode, DoesWithoutNvml) {
  driver::Gpu unknown;
  unknown.name = "NVIDIA T4";
  EXPECT_NE(why(unknown).find("no reason"), std::string::npos) << why(unknown);
}

}  // namespace
}  // namespace hearth::doctor
