// `hearth` on a machine whose NVIDIA driver is the simulator's.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cli/process.h"
#include "support/tiny_model.h"
#include "support/support.h"

namespace hearth::test {

class SimulatedGpu : public ::testing::Test {
 protected:
  static constexpr const char* kSimulator = HEARTH_SIM_DIR;

  void SetUp() override {
    if (!std::filesystem::exists(std::string(kSimulator) + "/libcuda.so.1")) {
      GTEST_SKIP() << "the simulated driver is not built";
    }
    if (hearth({"--version"}).out.find("CUDA: not in this build") != std::string::npos) {
      GTEST_SKIP() << "this build has no CUDA kernels";
    }
  }

  // What a process of a simulated machine has in its environment. `visible`: CUDA_VISIBLE_DEVICES=...; else it has
  // none.
  static std::vector<std::string> machine(const std::string& profile, const std::string& faults = "",
                                          const std::string& visible = "CUDA_VISIBLE_DEVICES") {
    return {std::string("LD_LIBRARY_PATH=") + kSimulator, "HEARTH_SIM_PROFILE=" + profile,
            "HEARTH_SIM_FAULTS=" + faults, "HEARTH_SIM_SEED=1", visible};
  }

  static Finished on(const std::string& profile, const std::string& faults, const std::vector<std::string>& args) {
    return on(machine(profile, faults), args);
  }
  static Finished on(const std::vector<std::string>& environment, const std::vector<std::string>& args) {
    Process process(args, Process::Streams::kNoInput, environment);
    Finished done = process.finish();
    // What the simulator itself has to say.
    for (size_t line; (line = done.err.find("hearth-sim: ")) != std::string::npos;) {
      done.err.erase(line, done.err.find('\n', line) + 1 - line);
    }
    return done;
  }
};

}  // namespace hearth::test
