// `hearth plan` for machines that are not here: by a GPU's name, and by a file that describes a machine.
#include <fstream>

#include "cli/process.h"
#include "support/tiny_model.h"

namespace hearth::test {
namespace {

class PlanCommand : public ::testing::Test {
 protected:
  PlanCommand() {
    tiny_.layers = 7;
    model_ = tiny_.write();
  }
  Finished plan(const std::vector<std::string>& more) const {
    std::vector<std::string> args = {"plan", model_};
    args.insert(args.end(), more.begin(), more.end());
    return hearth(args);
  }
  std::string machine(const std::string& text) const {
    const std::string path = tiny_.file("machine.json");
    std::ofstream(path) << text;
    return path;
  }
  static bool has(const Finished& done, const std::string& text) { return done.out.find(text) != std::string::npos; }

  TinyModel tiny_;
  std::string model_;
};

TEST_F(PlanCommand, KnowsGpusByName) {
  const Finished done = plan({"--gpu", "rtx4090"});
  EXPECT_EQ(done.code, 0) << done.err;
  EXPECT_EQ(done.out.find("8/8 layers on GPU 0 (RTX 4090), "), 0u) << done.out;
  EXPECT_TRUE(has(done, "GPU 0 (RTX 4090): embedding, layers 0-6, output")) << done.out;
  EXPECT_FALSE(has(done, "What would help")) << done.out;
}

TEST_F(PlanCommand, ListsTheGpusThatItKnowsAndRefusesOldOnes) {
  const Finished unknown = plan({"--gpu", "Voodoo 2"});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_NE(unknown.err.find("RTX 3050 6GB Laptop, "), std::string::npos) << unknown.err;
  const Finished old = plan({"--gpu", "GTX 1080"});
  EXPECT_EQ(old.code, 1);
  EXPECT_NE(old.err.find("compute capability 6.1"), std::string::npos) << old.err;
}

TEST_F(PlanCommand, ReadsAMachineAndOffersWhatHelps) {
  // With a context of 64 x 1024 tokens a layer's cache is 8 MiB for each answer.
  const std::string small = machine(R"({"devices": [{"name": "Small GPU", "memory_mib": 128, "context_mib": 8}],
      "processes": [{"name": "browser", "mib": 40}]})");
  const Finished done = plan({"--gpu", small, "--ctx", "65536"});
  EXPECT_EQ(done.code, 0) << done.err;
  EXPECT_TRUE(has(done, "/8 layers on GPU 0 (Small GPU), ")) << done.out;
  EXPECT_TRUE(has(done, "/8 layers on CPU, ")) << done.out;
  EXPECT_TRUE(has(done, "more free memory on GPU 0 (Small GPU) would hold the whole model")) << done.out;
  EXPECT_TRUE(has(done, "closing browser (40 MiB) frees 40 MiB: 8/8 layers on the GPU")) << done.out;
  EXPECT_TRUE(has(done, "--ctx ")) << done.out;
  const Finished two = plan({"--gpu", small, "--ctx", "16384", "--parallel", "4"});
  EXPECT_TRUE(has(two, "instead of 4 saves ")) << "fewer answers at the same time: " << two.out;
  const Finished enough = plan({"--gpu", small, "--ctx", "16384"});
  EXPECT_TRUE(has(enough, "8/8 layers on GPU 0 (Small GPU)")) << enough.out;
}

TEST_F(PlanCommand, SaysWhatIsWrongWithAMachine) {
  for (const auto& [text, words] :
       {std::pair("{", "is not a JSON object"),
        std::pair(R"({"devices": [{"name": "A GPU"}]})", "memory_mib is missing"),
        std::pair(R"({"devices": [7]})", "a device is not an object"),
        std::pair(R"({"devices": [{"name": "Vast", "memory_mib": 99999999999999999}]})",
                  "device 0 (Vast): memory_mib is 99999999999999999, but must be a whole number from 0 to "),
        std::pair(R"({"devices": [{"memory_mib": "64"}]})", "memory_mib is \"64\", but must be"),
        std::pair(R"({"devices": [{"memory_mib": 64, "reserved_mib": -1}]})", "reserved_mib is -1"),
        std::pair(R"({"devices": [{"memory_mib": 64, "context_mib": 1e18}]})", "context_mib is 1E18"),
        std::pair(R"({"devices": [{"memory_mib": 64, "memory_clock_mhz": 2000000, "bus_bits": 384}]})",
                  "memory_clock_mhz is 2000000"),
        std::pair(R"({"devices": [{"memory_mib": 64}], "processes": [{"name": "game", "mib": 17592186044417}]})",
                  "process game: mib is 17592186044417"),
        std::pair(R"({"devices": [{"memory_mib": 64}], "processes": [{"device": 1}]})", "from 0 to 0"),
        std::pair(R"({"devices": [{"name": "Old", "memory_mib": 1, "compute_capability": "6.1"}]})", "6.1")}) {
    const Finished done = plan({"--gpu", machine(text)});
    EXPECT_EQ(done.code, 1) << text;
    EXPECT_NE(done.err.find(words), std::string::npos) << done.err;
  }
}

TEST_F(PlanCommand, MoreContextThanTheModelHasIsCut) {
  tiny_.context = 512;
  model_ = tiny_.write();
  const Finished done = plan({"--gpu", "T4", "--ctx", "100000"});
  EXPECT_EQ(done.code, 0) << done.err;
  EXPECT_EQ(done.out.find("8/8 layers on GPU 0 (T4)"), 0u) << done.out;
}

}  // namespace
}  // namespace hearth::test
