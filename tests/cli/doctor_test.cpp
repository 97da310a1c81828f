// hearth doctor as a user runs it: files alone, exit codes, and simulated GPUs with their faults.
#include "cli/simulated_gpu.h"

namespace hearth::test {
namespace {

const std::string kOneLayer =
    "msg=\"loading model\" \"model layers\"=33 requested=1\n"
    "using device CUDA0 (NVIDIA GeForce RTX 4060 Ti) (0000:01:00.0) - 15221 MiB free\n"
    "load_tensors: offloaded 1/33 layers to GPU\n";

bool says(const Finished& done, const std::string& text) {
  return done.out.find(text) != std::string::npos;
}

TEST(Doctor, JudgesALogAlone) {
  const Finished fault = hearth({"doctor", "--service", "ollama", "--log", "-"}, kOneLayer);
  EXPECT_EQ(fault.code, 1) << fault.err;
  EXPECT_TRUE(says(fault, "num-gpu-override (certain)")) << fault.out;
  const Finished well =
      hearth({"doctor", "--service", "ollama", "--log", "-"}, "load_tensors: offloaded 33/33 layers to GPU\n");
  EXPECT_EQ(well.code, 0) << well.out;
  const Finished nothing = hearth({"doctor", "--service", "ollama", "--log", "-"}, "hello\n");
  EXPECT_EQ(nothing.code, 4) << nothing.out;
}

TEST(Doctor, RefusesWhatItCannotUse) {
  for (const std::vector<std::string>& args : {std::vector<std::string>{"doctor", "--service", "nothing"},
                                               {"doctor", "--replay", "/etc/hostname"},
                                               {"doctor", "--explain", "no-such-cause"},
                                               {"doctor", "--log", "/no/such/file"},
                                               {"doctor", "--pid", "1"}}) {
    const Finished done = hearth(args);
    EXPECT_EQ(done.code, 2) << args.back() << done.out;
    EXPECT_NE(done.err, "");
  }
}

TEST(Doctor, ExplainsEveryCause) {
  const Finished all = hearth({"doctor", "--explain", "all"});
  EXPECT_EQ(all.code, 0);
  EXPECT_TRUE(says(all, "# no-kernel-driver\n"));
  EXPECT_TRUE(says(all, "# vllm-eager-mode\n"));
}

class DoctorOnGpu : public SimulatedGpu {};

TEST_F(DoctorOnGpu, FindsNoFaultOnAHealthyOne) {
  const Finished done = on("rtx-4090", "", {"doctor"});
  EXPECT_EQ(done.code, 0) << done.out;
  EXPECT_TRUE(says(done, "kernel ran and its result is right")) << done.out;
  EXPECT_TRUE(says(done, "the demonstration model computes right on GPU 0")) << done.out;
}

TEST_F(DoctorOnGpu, NamesTheCauseOfAFault) {
  const std::pair<const char*, const char*> cases[] = {
      {"fail call=cuInit error=304", "os-call-failed-304 (certain)"},
      {"stub", "stub-libcuda (certain)"},
      {"fail call=cuInit error=802", "fabric-manager-not-ready"},
      {"fail call=nvmlInit error=18", "driver-library-mismatch (certain)"},
      {"fail call=nvmlDeviceGetMemoryInfo error=15", "gpu-fell-off-bus (certain)"}};
  for (const auto& [fault, cause] : cases) {
    const Finished done = on("rtx-4090", fault, {"doctor"});
    EXPECT_EQ(done.code, 1) << fault << done.out;
    EXPECT_TRUE(says(done, cause)) << fault << done.out;
  }
  const Finished hidden = on(machine("rtx-4090", "", "CUDA_VISIBLE_DEVICES=7"), {"doctor"});
  EXPECT_TRUE(says(hidden, "visible-devices-hide-gpu (certain)")) << hidden.out;
}

}  // namespace
}  // namespace hearth::test
