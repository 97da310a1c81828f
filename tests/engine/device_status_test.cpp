// What is said about where a model's layers are.
#include "engine/device_status.h"

#include <gtest/gtest.h>

namespace hearth::engine {
namespace {

TEST(DeviceStatus, AModelWhollyOnAGpuNeedsNoWords) {
  const DeviceStatus status = on_one_device("GPU 0 (NVIDIA H200)", true, 32);
  EXPECT_EQ(status.placement(), "33/33 layers on GPU 0 (NVIDIA H200)");
  EXPECT_EQ(status.layers_on_gpu(), 33u);
  EXPECT_EQ(status.warning(), "");
}

TEST(DeviceStatus, AModelOnTheCpuSaysWhyWhereAGpuCouldBeExpected) {
  DeviceStatus status = on_one_device("CPU (AVX2, 8 threads)", false, 22);
  status.cause = {"gpu-failed-with-advice", {{"error", "the driver is broken"}, {"remedy", "mend it"}}};
  status.cause.noteworthy = false;
  EXPECT_EQ(status.layers_on_gpu(), 0u);
  EXPECT_EQ(status.warning(), "") << "no sign of a GPU";
  status.cause.noteworthy = true;
  EXPECT_EQ(status.warning(), "the model runs on the CPU: the driver is broken; mend it");
}

TEST(DeviceStatus, ASplitModelNamesBothParts) {
  DeviceStatus status;
  status.devices = {{"GPU 0 (NVIDIA RTX 3050)", true}, {"CPU (AVX2, 8 threads)", false}, {"unused", true}};
  status.layers.assign(33, 0);
  for (uint32_t layer = 0; layer < 13; ++layer) status.layers[layer] = 1;
  status.cause = {"gpu-failed-with-advice", {{"error", "it does not fit"}, {"remedy", "use a smaller --ctx"}}};
  EXPECT_EQ(status.placement(), "20/33 layers on GPU 0 (NVIDIA RTX 3050), 13/33 layers on CPU (AVX2, 8 threads)");
  EXPECT_EQ(status.warning(), "13 of 33 layers run on the CPU: it does not fit; use a smaller --ctx");
}

TEST(DeviceStatus, ShowsTheMemoryThatIsTaken) {
  DeviceStatus status = on_one_device("GPU 0 (NVIDIA H200)", true, 32);
  status.devices[0].memory = {uint64_t{4506} << 20, uint64_t{512} << 20, 1 << 20};
  EXPECT_EQ(status.placement(), "33/33 layers on GPU 0 (NVIDIA H200), 4.40 GiB weights, 512 MiB cache");
  EXPECT_EQ(status.memory().total(), uint64_t{5019} << 20);
}

TEST(DeviceStatus, ExpertsOnTheCpuAreTold) {
  DeviceStatus status = on_one_device("GPU 0 (NVIDIA RTX 3050)", true, 4);
  status.devices.push_back({"CPU (AVX2, 8 threads)", false});
  status.experts = {1, 1, 0, 0};
  status.cause = {"gpu-failed-with-advice", {{"error", "it does not fit"}, {"remedy", "close something"}}};
  EXPECT_EQ(status.placement(),
            "5/5 layers on GPU 0 (NVIDIA RTX 3050), 0/5 layers on CPU (AVX2, 8 threads) with the experts of 2");
  EXPECT_EQ(status.layers_on_gpu(), 5u);
  EXPECT_FALSE(status.wholly_on_gpu());
  EXPECT_EQ(status.warning(), "the experts of 2 layers run on the CPU: it does not fit; close something");
}

TEST(DeviceStatus, TheOnlyGpuHoldsAllLayersAndExperts) {
  DeviceStatus status = on_one_device("GPU 0 (NVIDIA H200)", true, 4);
  EXPECT_EQ(status.only_gpu(), status.devices.data());
  status.devices.push_back({"GPU 1 (NVIDIA H200)", true});
  status.layers.back() = 1;
  EXPECT_EQ(status.only_gpu(), nullptr);
  status.layers.back() = 0;
  status.experts = {0, 0, 0, 1};
  EXPECT_EQ(status.only_gpu(), nullptr);
  EXPECT_EQ(on_one_device("CPU (AVX2, 8 threads)", false, 4).only_gpu(), nullptr);
  EXPECT_EQ(DeviceStatus().only_gpu(), nullptr);
}

TEST(DeviceStatus, NothingLoadedIsNowhere) {
  EXPECT_EQ(DeviceStatus().placement(), "");
  EXPECT_EQ(DeviceStatus().warning(), "");
}

}  // namespace
}  // namespace hearth::engine
