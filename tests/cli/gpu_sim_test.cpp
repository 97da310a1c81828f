// The start on a simulated GPU: every call that may fail, and memory that runs out at every allocation in turn.
// Whatever goes wrong, auto answers on the CPU with one line that says why, require refuses, and nothing hangs.
#include <algorithm>

#include "cli/simulated_gpu.h"
#include "driver/errors.h"

namespace hearth::test {
namespace {

class GpuStart : public SimulatedGpu {
 protected:
  Finished run(const std::string& profile, const std::string& faults, const std::string& policy,
               const std::vector<std::string>& more = {}) const {
    std::vector<std::string> args = {"run",           model_, "hello",  "--raw", "--gpu",     policy,
                                     "--num-predict", "2",    "--seed", "1",     "--threads", "1"};
    args.insert(args.end(), more.begin(), more.end());
    return on(profile, faults, args);
  }

  // True if the model came on the GPU in spite of the faults.
  bool expect_gpu_or_reason(const std::string& profile, const std::string& faults,
                            const std::vector<std::string>& words = {}) const {
    SCOPED_TRACE(profile + " with " + faults);
    const Finished automatic = run(profile, faults, "auto");
    const Finished required = run(profile, faults, "require");
    EXPECT_EQ(automatic.code, 0) << automatic.err;
    EXPECT_NE(automatic.out, "");
    if (required.code == 0) {
      EXPECT_EQ(automatic.err, "");
      return true;
    }
    EXPECT_EQ(required.code, 3) << required.err;
    EXPECT_EQ(required.out, "");
    EXPECT_EQ(required.err.find("hearth: --gpu require: "), 0u) << required.err;
    EXPECT_EQ(automatic.err.find("warning: the model runs on the CPU: "), 0u) << automatic.err;
    EXPECT_EQ(std::ranges::count(automatic.err, '\n'), 1) << automatic.err;
    for (const std::string& word : words) {
      EXPECT_NE(automatic.err.find(word), std::string::npos) << automatic.err;
      EXPECT_NE(required.err.find(word), std::string::npos) << required.err;
    }
    return false;
  }

  const TinyModel tiny_;
  const std::string model_ = tiny_.write();
};

TEST_F(GpuStart, HoldsTheWholeModel) {
  const Finished done = run("tiny", "", "require", {"--verbose"});
  EXPECT_EQ(done.code, 0) << done.err;
  EXPECT_NE(done.out, "");
  EXPECT_NE(done.err.find("2/2 layers on GPU 0 (NVIDIA Tiny GPU)"), std::string::npos) << done.err;
}

TEST_F(GpuStart, InitialisationMayAnswerAnything) {
  for (const int code : {1, 2, 3, 34, 46, 100, 101, 304, 800, 801, 802, 803, 804, 805, 999}) {
    const driver::Problem problem = driver::problem_of(static_cast<CUresult>(code));
    EXPECT_FALSE(expect_gpu_or_reason("tiny", "fail call=cuInit error=" + std::to_string(code),
                                      {problem.cause_with_code(), remedy_of(problem.why)}));
  }
}

TEST_F(GpuStart, EveryCallOfTheStartMayFail) {
  const std::vector<std::string> needed = {
      "cuDevicePrimaryCtxRetain", "cuMemGetInfo", "cuStreamCreate", "cuModuleLoadDataEx", "cuMemCreate",
      "cuMemAddressReserve",      "cuMemMap",     "cuMemSetAccess"};
  for (const std::string& call : needed) {
    for (const int code : {2, 304, 719, 999}) {
      const driver::Problem problem = driver::problem_of(static_cast<CUresult>(code));
      std::vector<std::string> words = {problem.cause_with_code()};
      if (code != CUDA_ERROR_OUT_OF_MEMORY)
        words.push_back(remedy_of(problem.why));  // then hearth has advice of its own
      EXPECT_FALSE(expect_gpu_or_reason("tiny", "fail call=" + call + " error=" + std::to_string(code), words));
    }
  }
  for (const char* call : {"cuDeviceGetCount", "cuDeviceGet", "cuDeviceGetName", "cuDeviceGetAttribute",
                           "cuDeviceGetUuid", "cuDeviceTotalMem", "cuCtxSetCurrent", "cuEventCreate", "cuMemHostAlloc",
                           "cuModuleGetFunction", "cuMemGetAllocationGranularity"}) {
    expect_gpu_or_reason("tiny", std::string("fail call=") + call + " error=304");
  }
}

TEST_F(GpuStart, MemoryMayRunOutAtEveryAllocation) {
  for (const std::string profile : {"tiny", "tiny,vmm=0"}) {
    bool enough = false;
    int allocation = 1;
    for (; !enough && allocation < 100; ++allocation) {
      enough = expect_gpu_or_reason(profile, "oom at=" + std::to_string(allocation) + "+",
                                    {"the GPU has not enough free memory [CUDA_ERROR_OUT_OF_MEMORY, 2]"});
    }
    EXPECT_TRUE(enough) << "more than 100 allocations for a model of a few kilobytes";
    EXPECT_GT(allocation, 2) << "no allocation failed";
  }
}

// A profile of a virtual GPU, say.
TEST_F(GpuStart, AGpuWithoutVirtualMemoryHoldsTheModelAndGivesAllBack) {
  const std::string leaks = tiny_.file("leaks");
  std::vector<std::string> environment = machine("tiny,vmm=0");
  environment.push_back("HEARTH_SIM_LEAKS=" + leaks);
  const std::vector<std::string> args = {"run", model_,      "hello", "--raw",     "--gpu",  "require", "--num-predict",
                                         "4",   "--threads", "1",     "--verbose", "--seed", "1"};
  const Finished plain = on(environment, args);
  EXPECT_EQ(plain.code, 0) << plain.err;
  EXPECT_NE(plain.err.find("2/2 layers on GPU 0 (NVIDIA Tiny GPU)"), std::string::npos) << plain.err;
  EXPECT_FALSE(std::filesystem::exists(leaks)) << "something was not freed";
  EXPECT_EQ(plain.out, on("tiny", "", args).out);
}

TEST_F(GpuStart, AModelThatDoesNotFitSaysHowMuchIsMissing) {
  const Finished required = run("tiny", "", "require", {"--ctx", "1000000"});
  EXPECT_EQ(required.code, 3) << required.err;
  EXPECT_NE(required.err.find("the whole model needs"), std::string::npos) << required.err;
  EXPECT_NE(required.err.find("GPU 0 (NVIDIA Tiny GPU) has"), std::string::npos) << required.err;
  EXPECT_NE(required.err.find("--ctx "), std::string::npos) << "a smaller one is offered: " << required.err;
}

TEST_F(GpuStart, ACompilerThatTakesItsTimeIsShown) {
  const std::vector<std::string> args = {"run", model_, "hello", "--raw", "--num-predict", "2", "--threads", "1"};
  Process process(args, Process::Streams::kTerminal, machine("tiny", "slow-compile seconds=2 at=2"));
  EXPECT_TRUE(process.wait_for("compiling kernels for this GPU (first start) ["));
  const Finished shown = process.finish();
  EXPECT_EQ(shown.code, 0) << shown.out;
  EXPECT_EQ(shown.out.find("the GPU driver compiles"), std::string::npos) << "no lines of a log beside it";
  const Finished quick = run("tiny", "", "require");
  EXPECT_EQ(quick.err, "");
}

TEST_F(GpuStart, ACompilerThatTakesLongIsALineOfTheLogWhereThereIsNoTerminal) {
  const Finished slow = run("tiny", "slow-compile seconds=10.5 at=1", "require");
  EXPECT_EQ(slow.code, 0) << slow.err;
  EXPECT_NE(slow.err.find("the GPU driver compiles hearth's kernels for this GPU, which it then keeps for later "
                          "starts: 0 of "),
            std::string::npos)
      << slow.err;
  EXPECT_EQ(std::ranges::count(slow.err, '\n'), 1) << slow.err;
}

TEST_F(GpuStart, HiddenGpusAreToldByTheirCause) {
  const auto run_with = [&](const std::string& profile, const std::string& list) {
    return on(
        machine(profile, "", "CUDA_VISIBLE_DEVICES=" + list),
        {"run", model_, "hello", "--raw", "--gpu", "require", "--num-predict", "2", "--threads", "1", "--verbose"});
  };
  for (const char* list : {"", "-1", "7", "GPU-0badc0de"}) {
    const Finished hidden = run_with("tiny-two,memory_mib=64", list);
    EXPECT_EQ(hidden.code, 3) << hidden.err;
    EXPECT_EQ(
        hidden.err.find(fmt::format("hearth: --gpu require: CUDA_VISIBLE_DEVICES hides the GPU from the server "
                                    "(CUDA_VISIBLE_DEVICES is \"{}\", the machine has 2 GPUs) [CUDA_ERROR_NO_DEVICE, "
                                    "100]; unset CUDA_VISIBLE_DEVICES, or name GPUs in it",
                                    list)),
        0u)
        << hidden.err;
  }
  EXPECT_NE(run_with("tiny", "1").err.find("the machine has one GPU)"), std::string::npos);
  EXPECT_NE(run_with("no-device", "0").err.find("shows no GPU to this process (CUDA_VISIBLE_DEVICES is \"0\")"),
            std::string::npos);
  for (const auto& [list, name] : {std::pair("0", "A"), {"1", "B"}, {"1,7,0", "B"}}) {
    const Finished shown = run_with("tiny-two,memory_mib=64", list);
    EXPECT_EQ(shown.code, 0) << shown.err;
    EXPECT_NE(shown.err.find(fmt::format("2/2 layers on GPU 0 (NVIDIA Tiny GPU {}), ", name)), std::string::npos)
        << shown.err;
  }
}

TEST_F(GpuStart, OtherMachinesAreToldApart) {
  expect_gpu_or_reason("gtx-1080", "", {"NVIDIA GeForce GTX 1080 has compute capability 6.1", "7.5"});
  expect_gpu_or_reason("no-device", "", {"shows no GPU to this process [CUDA_ERROR_NO_DEVICE, 100]"});
  expect_gpu_or_reason("tiny", "stub", {"CUDA_ERROR_STUB_LIBRARY, 34", "\"stubs\""});
  expect_gpu_or_reason("tiny", "missing call=cuMemCreate", {"lacks cuMemCreate"});
}

}  // namespace
}  // namespace hearth::test
