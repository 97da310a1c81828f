// The words for what the driver answers.
#include "driver/errors.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "driver/nvml.h"

namespace hearth::driver {
namespace {

const std::vector<CUresult> kAll = {
#define CUDA_RESULT(name, number) name,
#include "driver/cuda_results.def"
};

TEST(Errors, EveryCodeHasItsOwnWords) {
  std::map<std::string, CUresult> causes, names;
  for (const CUresult code : kAll) {
    const Description description = describe(code);
    ASSERT_NE(find_cause_words(description.cause.id), nullptr) << description.name << ": " << description.cause.id;
    const std::string what = what_of(description.cause), remedy = remedy_of(description.cause);
    EXPECT_FALSE(what.empty() || remedy.empty()) << description.name;
    EXPECT_TRUE(causes.emplace(what, code).second) << description.name << " has the words of " << causes[what];
    EXPECT_TRUE(names.emplace(description.name, code).second) << description.name;
    EXPECT_EQ(what.find("; "), std::string::npos) << "a cause ends where the remedy begins";
    for (const std::string& text : {what, remedy}) {
      EXPECT_NE(text.back(), '.') << text;
      EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    }
  }
}

TEST(Errors, CodesOfNewerDriversHaveWordsToo) {
  for (const int code : {1, 9, 10, 42, 998, 1000, 123456, -1}) {
    const Description description = describe(static_cast<CUresult>(code));
    if (code == 1) continue;  // a known one between them
    EXPECT_NE(what_of(description.cause).find(std::to_string(code)), std::string::npos) << what_of(description.cause);
    EXPECT_FALSE(description.sticky);
  }
}

// What a start-up can meet, and a word without which the message would not help.
TEST(Errors, RemediesOfAStartNameWhatToDo) {
  const std::map<int, std::string> expected = {
      {2, "nvidia-smi"},
      {3, "nvidia-modprobe"},
      {34, "stubs"},
      {36, "525"},
      {46, "nvidia-smi -c"},
      {100, "CUDA_VISIBLE_DEVICES"},
      {101, "nvidia-smi -L"},
      {209, "newer release"},
      {218, "update the NVIDIA driver"},
      {221, "NVIDIA_DRIVER_CAPABILITIES"},
      {222, "update the NVIDIA driver"},
      {223, "CUDA_DISABLE_PTX_JIT"},
      {304, "/dev/nvidia-uvm"},
      {802, "nvidia-fabricmanager"},
      {803, "reboot"},
      {804, "container image"},
      {999, "nvidia_uvm"},
  };
  for (const auto& [code, word] : expected) {
    const Description description = describe(static_cast<CUresult>(code));
    const std::string remedy = remedy_of(description.cause);
    EXPECT_NE(remedy.find(word), std::string::npos) << code << ": " << remedy;
  }
}

TEST(Errors, StickyOnesAreLostDevices) {
  for (const CUresult code : kAll) {
    EXPECT_EQ(is_sticky(code), describe(code).kind == ErrorKind::kDeviceLost) << describe(code).name;
  }
  for (const int code : {214, 220, 700, 702, 710, 714, 715, 716, 717, 718, 719, 999}) {
    EXPECT_TRUE(is_sticky(static_cast<CUresult>(code))) << code;
  }
  for (const int code : {1, 2, 100, 209, 304, 400, 500, 600, 701, 720, 801}) {
    EXPECT_FALSE(is_sticky(static_cast<CUresult>(code))) << code;
  }
}

TEST(Errors, CheckSaysWhatFailedAndWhy) {
  EXPECT_TRUE(check(CUDA_SUCCESS, "anything"));
  const Status status = check(CUDA_ERROR_OUT_OF_MEMORY, "the allocation of 7 bytes");
  EXPECT_EQ(status.error().kind, ErrorKind::kNoMemory);
  EXPECT_EQ(status.error().message.find("the GPU driver failed at the allocation of 7 bytes: "), 0u);
  EXPECT_NE(status.error().message.find("[CUDA_ERROR_OUT_OF_MEMORY, 2]"), std::string::npos);
  EXPECT_EQ(check(CUDA_ERROR_ILLEGAL_ADDRESS, "a step").error().kind, ErrorKind::kDeviceLost);
}

TEST(Errors, NvmlCodesHaveTheirOwnWords) {
  std::map<std::string, int> words;
  for (const int code : {0, 4, 9, 12, 13, 15, 16, 17, 18, 28, 999, 5, 77}) {
    const std::string text = describe(static_cast<nvmlReturn_t>(code));
    EXPECT_TRUE(words.emplace(text, code).second) << text;
  }
}

TEST(Errors, IdleClocksAreNotAFinding) {
  EXPECT_EQ(describe_throttle(0), "");
  EXPECT_EQ(describe_throttle(nvmlClocksThrottleReasonGpuIdle), "");
  EXPECT_EQ(describe_throttle(nvmlClocksThrottleReasonGpuIdle | nvmlClocksThrottleReasonSwPowerCap |
                              nvmlClocksThrottleReasonSwThermalSlowdown),
            "heat, power limit");
}

}  // namespace
}  // namespace hearth::driver
