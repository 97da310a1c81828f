// Which image of a file of kernels a driver takes, and what it says of the others. On the machine's GPU or a simulated
// one; under a driver of an older CUDA too (tests/CMakeLists.txt).
#include "cuda/modules.h"

#include <zstd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

#include "driver/cuda.h"
#include "support/machine_code.h"
#include "support/support.h"

namespace hearth::cuda {
namespace {

constexpr const char* kPtx = R"(.version 8.0
.target sm_75
.address_size 64
.visible .entry nothing() { ret; }
)";

std::string compressed(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 1));
  return out;
}

std::string machine_code(int capability, const std::string& toolkit) {
  return test::machine_code(capability, toolkit, {"nothing"});
}

class CudaDeviceModules : public testing::Test {
 protected:
  void SetUp() override {
    const auto opened = driver::Cuda::open();
    if (!opened.ok()) GTEST_SKIP() << "no GPU, and none is simulated";
    cuda_ = *opened;
    auto context = driver::Context::retain(*cuda_, 0);
    ASSERT_TRUE(context.ok()) << context.error().message;
    context_ = std::move(*context);
    current_.emplace(context_);
    const auto attribute = [&](CUdevice_attribute which) {
      int value = 0;
      EXPECT_EQ(cuda_->cuDeviceGetAttribute(&value, which, context_.device()), CUDA_SUCCESS);
      return value;
    };
    chip_.compute_capability = 10 * attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) +
                               attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
    ASSERT_EQ(cuda_->cuDriverGetVersion(&driver_), CUDA_SUCCESS);
    std::ofstream(folder_ + "/nothing.ptx") << kPtx;
    ::setenv("HEARTH_SIM_PTX", folder_.c_str(), 1);
  }
  void TearDown() override {
    ::unsetenv("HEARTH_SIM_PTX");
    std::filesystem::remove_all(folder_);
  }

  bool simulated() const { return std::getenv("HEARTH_SIM_PROFILE") != nullptr; }
  void add(ImageKind kind, int capability, const std::string& content, int toolkit = 0) {
    contents_.push_back(std::make_unique<std::string>(compressed(content)));
    const std::string& bytes = *contents_.back();
    images_.push_back({"a", capability, false, kind, toolkit, bytes.data(), bytes.data() + bytes.size()});
  }
  Modules modules(CompileProgress compiling = {}) const {
    return Modules(*cuda_, context_, chip_, images_, std::move(compiling));
  }

  const driver::Cuda* cuda_ = nullptr;
  driver::Context context_;
  std::optional<driver::CurrentContext> current_;
  Chip chip_;
  int driver_ = 0;  // the CUDA version that it is of: 13000
  std::vector<Image> images_;

 private:
  static std::string make_folder() {
    char name[] = "/tmp/hearth-modules-test-XXXXXX";
    return ::mkdtemp(name);
  }
  std::vector<std::unique_ptr<std::string>> contents_;
  const std::string folder_ = make_folder();
};

TEST_F(CudaDeviceModules, MachineCodeThatTheDriverRefusesIsReplacedByPtx) {
  add(ImageKind::kMachineCode, chip_.compute_capability, machine_code(chip_.compute_capability, "13.0"), 13);
  add(ImageKind::kPtx, 75, kPtx);
  Modules loaded = modules();
  ASSERT_TRUE(loaded.load({"a"}).ok());
  EXPECT_TRUE(loaded.find("a", "nothing").ok());
  const LoadedImage& image = loaded.loaded().at("a");
  if (simulated() && driver_ >= 13000) {
    EXPECT_EQ(image.kind, ImageKind::kMachineCode);
    EXPECT_EQ(image.refused, "");
  } else {
    EXPECT_EQ(image.kind, ImageKind::kPtx);
    EXPECT_NE(image.refused, "");
  }
  if (simulated() && driver_ < 13000) {
    EXPECT_NE(image.refused.find("machine code made by CUDA 13.0"), std::string::npos) << image.refused;
  }
}

TEST_F(CudaDeviceModules, OlderDriversTakeMachineCodeOfAnOlderToolkit) {
  if (!simulated()) GTEST_SKIP() << "the machine code is for the simulated driver";
  add(ImageKind::kMachineCode, chip_.compute_capability, machine_code(chip_.compute_capability, "11.8"), 11);
  add(ImageKind::kMachineCode, chip_.compute_capability, machine_code(chip_.compute_capability, "13.0"), 13);
  add(ImageKind::kPtx, 75, kPtx);
  Modules loaded = modules();
  ASSERT_TRUE(loaded.load({"a"}).ok());
  const LoadedImage& image = loaded.loaded().at("a");
  EXPECT_EQ(image.kind, ImageKind::kMachineCode);
  EXPECT_EQ(image.toolkit, driver_ >= 13000 ? 13 : 11);
  EXPECT_EQ(image.compile_ms, 0);
}

TEST_F(CudaDeviceModules, WhatTheDriverTakesInNoFormIsRefusedByName) {
  add(ImageKind::kMachineCode, chip_.compute_capability, machine_code(chip_.compute_capability, "99.0"));
  std::string newer = kPtx;
  newer.replace(newer.find("8.0"), 3, "99.0");
  add(ImageKind::kPtx, 75, newer);
  Modules loaded = modules();
  const Status status = loaded.load({"a"});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().kind, ErrorKind::kUnsupported);
  EXPECT_EQ(status.error().message.find("the GPU driver takes neither the machine code nor the PTX of the kernels 'a'"),
            0u)
      << status.error().message;
  EXPECT_FALSE(loaded.find("a", "nothing").ok());
}

TEST_F(CudaDeviceModules, FilesThatAreThereAreNotLoadedAgain) {
  add(ImageKind::kPtx, 75, kPtx);
  Modules loaded = modules();
  ASSERT_TRUE(loaded.load({"a"}).ok());
  images_.clear();
  EXPECT_TRUE(loaded.load({"a"}).ok());
  EXPECT_TRUE(loaded.find("a", "nothing").ok());
}

}  // namespace
}  // namespace hearth::cuda
