// The facts about a machine's GPUs, from good, broken and missing libraries.
#include "driver/probe.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "fakes.h"

namespace hearth::driver {
namespace {

ProbeOptions with(const std::string& cuda, const std::string& nvml) {
  ProbeOptions options;
  options.cuda_library = cuda;
  options.nvml_library = nvml;
  options.cuda_patience = options.nvml_patience = kForever;
  return options;
}

TEST(Probe, TellsWhatCudaAndNvmlSee) {
  const Probe facts = probe(with(kFakeCuda, kFakeNvml));
  EXPECT_FALSE(facts.problem.has_value());
  EXPECT_EQ(facts.nvml_problem, "");
  ASSERT_EQ(facts.gpus.size(), 1u);
  const Gpu& gpu = facts.gpus[0];
  EXPECT_EQ(gpu.ordinal, 0);
  EXPECT_EQ(gpu.name, "Fake GPU");
  EXPECT_EQ(gpu.uuid, "GPU-f0f1f2f3-f4f5-f6f7-f8f9-fafbfcfdfeff");
  EXPECT_EQ(gpu.capability, 89);
  EXPECT_EQ(gpu.total_bytes, uint64_t{24} << 30);
  EXPECT_EQ(gpu.free_bytes, uint64_t{23} << 30);
  EXPECT_NEAR(gpu.memory_bytes_per_s, 1008e9, 1e9) << "GDDR6X at 10.5 GHz on 384 bits";
  EXPECT_EQ(gpu.state.used_bytes, uint64_t{2} << 30);
  EXPECT_EQ(gpu.state.memory_mhz, 10501u);
  EXPECT_FALSE(gpu.state.temperature_c.has_value()) << "the fake lacks that function";
  EXPECT_FALSE(gpu.problem.has_value());
}

TEST(Probe, ListsOtherProcessesWithTheirMemory) {
  const Probe facts = probe(with(kFakeCuda, kFakeNvml));
  ASSERT_EQ(facts.gpus.size(), 1u);
  const auto& processes = facts.gpus[0].state.processes;
  ASSERT_EQ(processes.size(), 70u) << "more than fit at first";
  EXPECT_FALSE(processes[0].bytes.has_value()) << "not told";
  EXPECT_EQ(processes[0].name, "Xorg");
  EXPECT_EQ(processes[1].name, "chrome");
  EXPECT_EQ(processes[1].bytes, uint64_t{856} << 20);
}

TEST(Probe, WithoutNvmlOnlyItsFactsAreMissing) {
  const Probe facts = probe(with(kFakeCuda, "libnvidia_ml_that_nobody_has.so.1"));
  ASSERT_EQ(facts.gpus.size(), 1u);
  EXPECT_FALSE(facts.problem.has_value());
  EXPECT_NE(facts.nvml_problem, "");
  EXPECT_FALSE(facts.gpus[0].state.total_bytes.has_value());
}

TEST(Probe, BrokenNvmlNeitherHangsNorMisleads) {
  ProbeOptions options = with(kFakeCuda, kFakeNvml);
  for (const char* mode : {"hang", "late"}) {
    const Environment broken("FAKE_NVML", mode);
    options.nvml_patience = std::chrono::milliseconds(50);
    const Probe facts = probe(options);
    EXPECT_NE(facts.nvml_problem.find("did not answer"), std::string::npos) << mode;
    ASSERT_EQ(facts.gpus.size(), 1u) << mode;
  }
  const Environment garbage("FAKE_NVML", "garbage");
  const Probe facts = probe(with("libcuda_that_nobody_has.so.1", kFakeNvml));
  ASSERT_EQ(facts.gpus.size(), 3u) << "it says 4294967295, but gives only three";
  EXPECT_LT(facts.gpus[0].name.size(), 100u);
  EXPECT_LE(facts.gpus[0].state.processes.size(), 64u);
}

TEST(Probe, WhereCudaFailsNvmlStillTellsTheGpus) {
  const Environment init("FAKE_CUDA_INIT", "999");
  const Probe facts = probe(with(kFakeCuda, kFakeNvml));
  ASSERT_TRUE(facts.problem.has_value());
  EXPECT_EQ(facts.problem->code, 999);
  ASSERT_EQ(facts.gpus.size(), 1u);
  EXPECT_EQ(facts.gpus[0].ordinal, -1);
  EXPECT_EQ(facts.gpus[0].name, "Fake GPU");
  EXPECT_EQ(facts.gpus[0].total_bytes, uint64_t{24} << 30);
}

TEST(Probe, AGpuThatTakesNoProcessSaysWhy) {
  {
    const Environment prohibited("FAKE_CUDA_COMPUTE_MODE", "2");
    const Probe facts = probe(with(kFakeCuda, kFakeNvml));
    ASSERT_TRUE(facts.gpus.at(0).problem.has_value());
    EXPECT_EQ(facts.gpus[0].problem->code, 46);
  }
  const Environment context("FAKE_CUDA_CONTEXT", "2");
  const Probe facts = probe(with(kFakeCuda, kFakeNvml));
  ASSERT_TRUE(facts.gpus.at(0).problem.has_value());
  EXPECT_EQ(facts.gpus[0].problem->name, "CUDA_ERROR_OUT_OF_MEMORY");
  ProbeOptions without = with(kFakeCuda, kFakeNvml);
  without.open_contexts = false;
  EXPECT_FALSE(probe(without).gpus.at(0).problem.has_value()) << "it was not tried";
}

TEST(Probe, WorksOnWhateverMachineThisIs) {
  const Probe facts = probe();
  EXPECT_TRUE(facts.problem.has_value() || !facts.gpus.empty());
  if (facts.problem) {
    EXPECT_FALSE(what_of(facts.problem->why).empty() || remedy_of(facts.problem->why).empty());
  }
}

}  // namespace
}  // namespace hearth::driver
