// Loading the driver: from a machine without any to one whose driver does not answer.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>

#include "driver/cuda.h"
#include "driver/machine.h"
#include "driver/nvml.h"
#include "fakes.h"
#include "support/support.h"

namespace hearth::driver {
namespace {

using std::chrono::milliseconds;

Problem problem_with(const std::string& library, milliseconds patience = kForever) {
  Problem problem;
  const auto cuda = Cuda::load(library, patience, &problem);
  EXPECT_FALSE(cuda.ok()) << library;
  if (!cuda) {
    EXPECT_EQ(cuda.error().kind, ErrorKind::kNoDevice);
    EXPECT_EQ(cuda.error().message, problem.text());
  }
  return problem;
}

TEST(Loader, TakesACompleteDriver) {
  const auto cuda = Cuda::load(kFakeCuda, kForever);
  ASSERT_TRUE(cuda.ok()) << cuda.error().message;
  EXPECT_EQ((*cuda)->version, 12040);
  EXPECT_EQ((*cuda)->library, std::filesystem::canonical(kFakeCuda));
  int count = 0;
  EXPECT_EQ((*cuda)->cuDeviceGetCount(&count), CUDA_SUCCESS);
  EXPECT_EQ(count, 1);
}

TEST(Loader, NamesAMissingLibrary) {
  EXPECT_EQ(problem_with("libcuda_that_nobody_has.so.1").name, "no-driver-library");
}

TEST(Loader, NamesALibraryThatCannotBeLoaded) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "libcuda.so.1";
  std::ofstream(path) << "not a library";
  const Problem problem = problem_with(path);
  EXPECT_EQ(problem.name, "driver-library-broken");
  EXPECT_NE(what_of(problem.why).find(path), std::string::npos) << what_of(problem.why);
}

TEST(Loader, NamesADriverThatIsTooOldWithItsVersion) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "libcuda.so.470.82.01";
  std::filesystem::copy(kFakeCudaIncomplete, path);
  const Environment version("FAKE_CUDA_VERSION", "11040");
  const Problem problem = problem_with(path);
  EXPECT_EQ(problem.name, "driver-too-old");
  EXPECT_NE(what_of(problem.why).find("470.82.01"), std::string::npos) << what_of(problem.why);
  EXPECT_NE(what_of(problem.why).find("11.4"), std::string::npos) << what_of(problem.why);
  EXPECT_NE(remedy_of(problem.why).find("525"), std::string::npos) << remedy_of(problem.why);
}

TEST(Loader, NamesTheSymbolThatAShimLacks) {
  const Problem problem = problem_with(kFakeCudaIncomplete);
  EXPECT_EQ(problem.name, "driver-symbol-missing");
  EXPECT_NE(what_of(problem.why).find("lacks cuMemSetAccess"), std::string::npos) << what_of(problem.why);
  // A library that is no driver at all.
  EXPECT_NE(what_of(problem_with(kFakeNvml).why).find("lacks cuInit"), std::string::npos);
}

TEST(Loader, TellsWhyInitialisationFailsForEveryCode) {
  for (const int code : {2, 3, 34, 36, 46, 100, 101, 102, 222, 304, 500, 800, 801, 802, 803, 804, 805, 999, 1234}) {
    const Environment init("FAKE_CUDA_INIT", std::to_string(code));
    const Problem problem = problem_with(kFakeCuda);
    EXPECT_EQ(problem.code, code);
    EXPECT_EQ(problem.why, describe(static_cast<CUresult>(code)).cause);
  }
}

TEST(Loader, SaysWhatHidesTheGpus) {
  const Environment init("FAKE_CUDA_INIT", "100");
  const Environment visible("CUDA_VISIBLE_DEVICES", "-1");
  EXPECT_NE(what_of(problem_with(kFakeCuda).why).find("CUDA_VISIBLE_DEVICES is \"-1\""), std::string::npos);
}

TEST(Loader, DoesNotWaitForeverForADriver) {
  const Environment init("FAKE_CUDA_INIT", "hang");
  const Problem problem = problem_with(kFakeCuda, milliseconds(50));
  EXPECT_EQ(problem.name, "driver-does-not-answer");
  EXPECT_NE(what_of(problem.why).find("0.05 s"), std::string::npos) << what_of(problem.why);
}

TEST(Loader, OpensTheSystemsDriverOrSaysWhyNot) {
  Problem problem;
  const auto first = Cuda::open(&problem);
  const auto second = Cuda::open();
  ASSERT_EQ(first.ok(), second.ok());
  if (first.ok()) {
    EXPECT_EQ(*first, *second);
  } else {
    EXPECT_EQ(first.error().message, problem.text());
    EXPECT_FALSE(what_of(problem.why).empty() || remedy_of(problem.why).empty());
  }
}

TEST(Loader, ReadsTheDriversVersionFromItsFile) {
  EXPECT_EQ(driver_version_of("/usr/lib/x86_64-linux-gnu/libcuda.so.550.54.14"), "550.54.14");
  EXPECT_EQ(driver_version_of("/usr/lib/wsl/lib/libcuda.so.1"), "");
  EXPECT_EQ(driver_version_of(""), "");
  EXPECT_EQ(cuda_version_text(12040), "12.4");
  EXPECT_EQ(cuda_version_text(13000), "13.0");
}

TEST(Nvml, IsOptionalAndItsAbsenceIsExplained) {
  EXPECT_NE(Nvml::load("libnvidia_ml_that_nobody_has.so.1", kForever).error().message.find("cannot be loaded"),
            std::string::npos);
  EXPECT_NE(Nvml::load(kFakeNvmlIncomplete, kForever).error().message.find("not a complete NVML"), std::string::npos);
  const auto nvml = Nvml::load(kFakeNvml, kForever);
  ASSERT_TRUE(nvml.ok()) << nvml.error().message;
  EXPECT_EQ((*nvml)->nvmlDeviceGetTemperature, nullptr) << "the fake lacks it";
}

TEST(Nvml, InitialisationMayFailOrHang) {
  {
    const Environment fails("FAKE_NVML", "18");
    EXPECT_NE(Nvml::load(kFakeNvml, kForever).error().message.find("different versions"), std::string::npos);
  }
  const Environment hangs("FAKE_NVML", "hang");
  EXPECT_NE(Nvml::load(kFakeNvml, milliseconds(50)).error().message.find("did not answer"), std::string::npos);
}

// A machine as a folder with the files that the real one would show.
class MachineTest : public ::testing::Test {
 protected:
  void put(const std::string& path, const std::string& text = "") {
    std::filesystem::create_directories((folder_ / path).parent_path());
    std::ofstream(folder_ / path) << text << '\n';
  }
  Machine machine() const { return look_at_machine(folder_.path().string() + "/"); }
  std::string cause() const { return what_of(missing_driver(machine()).why); }

  test::TemporaryFolder folder_;
};

TEST_F(MachineTest, WithoutAGpuSaysSo) {
  put("sys/bus/pci/devices/0000:00:02.0/vendor", "0x8086");
  put("sys/bus/pci/devices/0000:00:02.0/class", "0x030000");
  put("sys/bus/pci/devices/0000:03:00.1/vendor", "0x10de");  // the sound of a GPU's HDMI is no GPU
  put("sys/bus/pci/devices/0000:03:00.1/class", "0x040300");
  EXPECT_FALSE(machine().has_gpu());
  EXPECT_NE(cause().find("no NVIDIA GPU and no NVIDIA driver"), std::string::npos);
}

TEST_F(MachineTest, WithAGpuButNoDriverAsksForTheDriver) {
  put("sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de");
  put("sys/bus/pci/devices/0000:01:00.0/class", "0x030200");
  EXPECT_TRUE(machine().has_gpu());
  EXPECT_EQ(missing_driver(machine()).why.id, "no-kernel-driver");
  EXPECT_NE(cause().find("kernel driver does not run"), std::string::npos) << cause();
}

TEST_F(MachineTest, ContainersAreToldWhatToAskTheirRuntimeFor) {
  put(".dockerenv");
  EXPECT_NE(remedy_of(missing_driver(machine()).why).find("--gpus all"), std::string::npos);
  put("dev/nvidiactl");
  EXPECT_NE(remedy_of(missing_driver(machine()).why).find("NVIDIA_DRIVER_CAPABILITIES=compute"), std::string::npos);
}

TEST_F(MachineTest, KernelModuleAloneAndWindowsAreRecognised) {
  put("proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX Open Kernel Module");
  EXPECT_NE(cause().find("kernel module is loaded"), std::string::npos);
  put("dev/dxg");
  EXPECT_NE(cause().find("Windows"), std::string::npos);
}

}  // namespace
}  // namespace hearth::driver
