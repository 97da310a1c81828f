// --gpu auto, require and off, over a driver that fails in every way at the start: a small fake libcuda.so.1
// (tests/driver/fake) that the binary finds by its library path.
#include <algorithm>
#include <boost/json.hpp>
#include <fstream>
#include <string>
#include <vector>

#include "cli/process.h"
#include "driver/cuda.h"
#include "driver/machine.h"
#include "support/support.h"
#include "support/tiny_model.h"

namespace hearth::test {
namespace {

constexpr const char* kFakeDriver = "LD_LIBRARY_PATH=" HEARTH_FAKE_DRIVER_DIR;

Finished run_with(std::vector<std::string> args, const std::vector<std::string>& environment) {
  Process process(args, Process::Streams::kNoInput, environment);
  return process.finish();
}

bool build_has_kernels() {
  static const bool has = hearth({"--version"}).out.find("CUDA: not in this build") == std::string::npos;
  return has;
}

class Gpu : public ::testing::Test {
 protected:
  Finished run(const std::string& policy, std::vector<std::string> environment) {
    environment.insert(environment.begin(), kFakeDriver);
    return run_with(
        {"run", model_, "hello", "--raw", "--gpu", policy, "--num-predict", "3", "--seed", "1", "--threads", "1"},
        environment);
  }
  // What both policies say and do about a GPU that cannot be used because of `cause`.
  void expect_refusal(const std::vector<std::string>& environment, const std::string& cause,
                      const std::string& remedy) {
    const Finished automatic = run("auto", environment);
    EXPECT_EQ(automatic.code, 0) << automatic.err;
    EXPECT_NE(automatic.out, "");
    EXPECT_EQ(std::ranges::count(automatic.err, '\n'), 1) << automatic.err;
    EXPECT_EQ(automatic.err.find("warning: the model runs on the CPU: "), 0u) << automatic.err;
    EXPECT_NE(automatic.err.find(cause), std::string::npos) << automatic.err;
    EXPECT_NE(automatic.err.find(remedy), std::string::npos) << automatic.err;

    const Finished required = run("require", environment);
    EXPECT_EQ(required.code, 3) << required.err;
    EXPECT_EQ(required.out, "");
    EXPECT_EQ(std::ranges::count(required.err, '\n'), 1) << required.err;
    EXPECT_EQ(required.err.find("hearth: --gpu require: "), 0u) << required.err;
    EXPECT_NE(required.err.find(cause), std::string::npos) << required.err;
    EXPECT_NE(required.err.find(remedy), std::string::npos) << required.err;

    const Finished off = run("off", environment);
    EXPECT_EQ(off.code, 0) << off.err;
    EXPECT_EQ(off.err, "");
    EXPECT_EQ(off.out, automatic.out) << "the same tokens, since both ran on the CPU";
  }

  const TinyModel tiny_;
  const std::string model_ = tiny_.write();
};

TEST_F(Gpu, EveryErrorOfTheStartIsToldWithItsRemedy) {
  if (!build_has_kernels()) GTEST_SKIP() << "this build has no CUDA kernels";
  for (const int code :
       {2, 3, 34, 36, 46, 100, 101, 102, 301, 302, 303, 304, 500, 800, 801, 802, 803, 804, 805, 999, 7777}) {
    SCOPED_TRACE(code);
    const driver::Problem problem = driver::problem_of(static_cast<CUresult>(code));
    expect_refusal({"FAKE_CUDA_INIT=" + std::to_string(code)}, problem.cause_with_code(), remedy_of(problem.why));
  }
}

TEST_F(Gpu, ADriverThatIsTooOldIsToldByItsVersion) {
  if (!build_has_kernels()) GTEST_SKIP() << "this build has no CUDA kernels";
  expect_refusal({"FAKE_CUDA_VERSION=11040"}, "it supports CUDA 11.4, CUDA 12.0 is needed", "driver 525 or newer");
}

TEST_F(Gpu, AContextThatCannotBeOpenedIsTold) {
  if (!build_has_kernels()) GTEST_SKIP() << "this build has no CUDA kernels";
  for (const int code : {2, 46, 101, 201, 214, 304, 802, 999}) {
    SCOPED_TRACE(code);
    const driver::Problem problem = driver::problem_of(static_cast<CUresult>(code));
    expect_refusal({"FAKE_CUDA_CONTEXT=" + std::to_string(code)}, problem.cause_with_code(), remedy_of(problem.why));
  }
}

TEST_F(Gpu, KernelsThatTheDriverRejectsAreTold) {
  if (!build_has_kernels()) GTEST_SKIP() << "this build has no CUDA kernels";
  for (const int code : {200, 209, 218, 221, 222, 223, 300}) {
    SCOPED_TRACE(code);
    const driver::Problem problem = driver::problem_of(static_cast<CUresult>(code));
    expect_refusal({"FAKE_CUDA_MODULE=" + std::to_string(code)}, what_of(problem.why), remedy_of(problem.why));
  }
}

TEST_F(Gpu, AGpuThatIsTooOldIsToldByItsName) {
  if (!build_has_kernels()) GTEST_SKIP() << "this build has no CUDA kernels";
  expect_refusal({"FAKE_CUDA_CAPABILITY=61"}, "Fake GPU has compute capability 6.1", "7.5");
}

TEST_F(Gpu, ABuildWithoutKernelsSaysSo) {
  if (build_has_kernels()) GTEST_SKIP() << "this build has CUDA kernels";
  expect_refusal({}, "this build of hearth has no GPU kernels", "nvcc");
}

// Nobody who has no GPU wants to hear of it each time, unless he insists.
TEST_F(Gpu, WithoutAnySignOfAGpuOnlyRequireComplains) {
  if (driver::look_at_machine().has_gpu() || driver::Cuda::open().ok()) GTEST_SKIP() << "there is a GPU here";
  const std::vector<std::string> run = {"run", model_, "hello", "--raw", "--num-predict", "2", "--gpu"};
  const auto with = [&](const char* policy) {
    std::vector<std::string> args = run;
    args.push_back(policy);
    return hearth(args);
  };
  EXPECT_EQ(with("auto").code, 0);
  EXPECT_EQ(with("auto").err, "");
  const Finished required = with("require");
  EXPECT_EQ(required.code, 3);
  EXPECT_EQ(required.err.find("hearth: --gpu require: "), 0u) << required.err;
}

TEST_F(Gpu, EveryCommandThatComputesObeys) {
  const std::string tokens = tiny_.file("tokens"), out = tiny_.file("out.npy"), text = tiny_.file("text");
  std::ofstream(tokens) << "1 5 6 7\n";
  std::ofstream(text) << std::string(600, 'a');
  const std::vector<std::string> broken = {kFakeDriver, "FAKE_CUDA_INIT=304"};
  const std::vector<std::vector<std::string>> commands = {
      {"bench", model_, "-p", "4", "-n", "2", "-r", "1"},
      {"logits", model_, "--tokens", tokens, "--out", out},
      {"perplexity", model_, text, "--ctx", "64"},
  };
  for (std::vector<std::string> args : commands) {
    SCOPED_TRACE(args[0]);
    args.push_back("--gpu=require");
    EXPECT_EQ(run_with(args, broken).code, 3);
    args.back() = "--gpu=auto";
    const Finished automatic = run_with(args, broken);
    EXPECT_EQ(automatic.code, 0) << automatic.err;
    EXPECT_NE(automatic.err.find("warning"), std::string::npos) << automatic.err;
    EXPECT_NE(automatic.err.find("the model runs on the CPU: "), std::string::npos) << automatic.err;
    EXPECT_EQ(std::ranges::count(automatic.err, '\n'), 1) << automatic.err;
    args.back() = "--gpu=sometimes";
    EXPECT_EQ(run_with(args, broken).code, 2);
  }
}

TEST_F(Gpu, BenchShowsWhereTheModelIsAndWhy) {
  const Finished done =
      run_with({"bench", model_, "-p", "4", "-n", "2", "-r", "1", "--json"}, {kFakeDriver, "FAKE_CUDA_INIT=304"});
  ASSERT_EQ(done.code, 0) << done.err;
  EXPECT_NE(done.out.find("\"device\":\"2/2 layers on CPU ("), std::string::npos) << done.out;
  const auto report = boost::json::parse(done.out);
  EXPECT_EQ(report.at("layers"), 2);
  EXPECT_EQ(report.at("layers_on_gpu"), 0);
  EXPECT_NE(report.at("cause"), "");
  EXPECT_NE(report.at("remedy"), "");
}

// How much is left is the machine's matter; that it is measured is not.
TEST_F(Gpu, BenchMeasuresOnceMoreBesideACompetitorIfAsked) {
  std::vector<std::string> args = {"bench", model_, "-p", "4", "-n", "2", "-r", "1", "--gpu=off", "--json"};
  const boost::json::value told = boost::json::parse(hearth(args).out);  // must outlive the loop
  for (const auto& test : told.at("tests").as_array()) EXPECT_FALSE(test.as_object().contains("beside_busy_loop"));
  args.push_back("--competitor");
  const boost::json::value report = boost::json::parse(hearth(args).out);
  ASSERT_EQ(report.at("tests").as_array().size(), 2u);
  for (const auto& test : report.at("tests").as_array()) EXPECT_GT(test.at("beside_busy_loop").as_double(), 0);
}

TEST_F(Gpu, VerboseShowsWhereTheModelIs) {
  const Finished done = hearth({"run", model_, "hello", "--raw", "--gpu", "off", "--num-predict", "2", "--verbose"});
  EXPECT_NE(done.err.find("placement:            2/2 layers on CPU ("), std::string::npos) << done.err;
}

}  // namespace
}  // namespace hearth::test
