// Profiles, and the script that starts programs against them.
#include <sys/wait.h>
#include <unistd.h>

#include "sim/driver_support.h"
#include "sim/machine/faults.h"
#include "sim/machine/machine.h"
#include "sim/machine/profile.h"

namespace hearth::sim {
namespace {

TEST(SimProfile, EveryFileIsAMachineThatWorks) {
  int seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(HEARTH_SIM_FOLDER "/profiles")) {
    const std::string name = entry.path().stem();
    SCOPED_TRACE(name);
    const auto profile = load_profile(name, HEARTH_SIM_FOLDER "/profiles");
    ASSERT_TRUE(profile.ok()) << profile.error().message;
    EXPECT_FALSE(profile->description.empty());
    Sim sim(name);
    ASSERT_EQ(sim.cuInit(0), profile->devices.empty() ? CUDA_ERROR_NO_DEVICE : CUDA_SUCCESS);
    for (std::size_t i = 0; i < profile->devices.size(); ++i) {
      CUcontext context = nullptr;
      ASSERT_EQ(sim.cuDevicePrimaryCtxRetain(&context, static_cast<int>(i)), CUDA_SUCCESS);
      ASSERT_EQ(sim.cuCtxSetCurrent(context), CUDA_SUCCESS);
      std::uint64_t others = 0;
      for (const OtherProcess& process : profile->processes) {
        if (process.device == static_cast<int>(i)) others += process.bytes;
      }
      EXPECT_EQ(sim.free_bytes(), profile->devices[i].cuda_total() - profile->devices[i].context_bytes - others);
    }
    ++seen;
  }
  EXPECT_GE(seen, 13);
}

TEST(SimProfile, TellsWhatDriversCanDo) {
  struct Case {
    const char* version;
    int cuda, ptx;
  };
  for (const Case& c : {Case{"525.60.13", 12000, 80}, Case{"535.183.01", 12020, 82}, Case{"550.144.03", 12040, 84},
                        Case{"570.86.16", 12080, 87}, Case{"575.64.05", 12090, 88}, Case{"580.65.06", 13000, 90}}) {
    const auto driver = describe_driver(c.version);
    ASSERT_TRUE(driver.ok());
    EXPECT_EQ(driver->cuda_version, c.cuda) << c.version;
    EXPECT_EQ(driver->newest_ptx, c.ptx) << c.version;
  }
  EXPECT_FALSE(describe_driver("470.256.02").ok());
}

TEST(SimProfile, MistakesAreNamed) {
  const auto problem = [](const char* json) {
    const auto profile = parse_profile(json, "test");
    return profile.ok() ? std::string("accepted") : profile.error().message;
  };
  EXPECT_NE(problem("{").find("not valid JSON"), std::string::npos);
  EXPECT_NE(problem(R"({"drivr": "570"})").find("unknown field \"drivr\""), std::string::npos);
  EXPECT_NE(problem(R"({"devices": [{"name": 3, "compute_capability": "8.6"}]})").find("\"name\" is not a text"),
            std::string::npos);
  EXPECT_NE(problem(R"({"devices": [{"compute_capability": "3.5", "memory_mib": 9}]})").find("3.5"), std::string::npos);
  EXPECT_NE(problem(R"({"devices": [], "processes": [{"device": 0}]})").find("device 0, which does not exist"),
            std::string::npos);
  for (const char* memory : {"-1", "1e30", "1e15"}) {
    const auto text = std::string(R"({"devices": [{"compute_capability": "8.6", "memory_mib": )") + memory + "}]}";
    EXPECT_NE(problem(text.c_str()).find("\"memory_mib\" is out of range"), std::string::npos) << memory;
  }
  EXPECT_NE(problem(R"({"devices": [{"compute_capability": "8.6", "memory_mib": 4, "reserved_mib": 17592186044415,
                        "context_mib": 1}]})")
                .find("all taken"),
            std::string::npos);
  EXPECT_FALSE(load_profile("no-such-machine", HEARTH_SIM_FOLDER "/profiles").ok());
  EXPECT_FALSE(load_profile("tiny,colour=red", HEARTH_SIM_FOLDER "/profiles").ok());
  EXPECT_FALSE(load_profile("tiny,memory_mib=10", HEARTH_SIM_FOLDER "/profiles").ok())
      << "less than driver and context";
}

TEST(SimFaults, NumbersThatDoNotFitAreNamed) {
  for (const char* text : {"sticky launch=1 error=4294967296", "take mib=17592186044416", "oom at=99999999999999999999",
                           R"([{"fault": "lost", "launch": 1, "device": 4294967296}])"})
    EXPECT_FALSE(parse_faults(text).ok()) << text;
}

TEST(SimMachine, ProcessesShareItsMemory) {
  Folder folder;
  const auto profile = load_profile("tiny", HEARTH_SIM_FOLDER "/profiles");
  ASSERT_TRUE(profile.ok());
  int to_child[2], to_parent[2];
  ASSERT_EQ(pipe(to_child), 0);
  ASSERT_EQ(pipe(to_parent), 0);
  char byte = 0;
  const pid_t child = fork();
  if (child == 0) {
    Machine other(*profile, {}, folder / "state", 0);
    other.set_own_bytes(0, 5 * kMiB);
    if (write(to_parent[1], "x", 1) != 1 || read(to_child[0], &byte, 1) != 1) _exit(1);
    _exit(0);  // without a word: as a process that is killed
  }
  ASSERT_EQ(read(to_parent[0], &byte, 1), 1);
  Machine machine(*profile, {}, folder / "state", 0);
  machine.set_own_bytes(0, kMiB);
  EXPECT_EQ(machine.foreign_bytes(0), 5 * kMiB);
  EXPECT_EQ(machine.own_bytes(0), kMiB);
  EXPECT_EQ(machine.running(0).size(), 2u);
  ASSERT_EQ(write(to_child[1], "x", 1), 1);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_EQ(machine.foreign_bytes(0), 0u) << "the memory of a dead process is free";
}

struct Ran {
  int code = -1;
  std::string output;
};
Ran run(const std::string& arguments) {
  for (const char* name : {"HEARTH_SIM_STATE", "HEARTH_SIM_PROFILE", "HEARTH_SIM_PROFILES", "HEARTH_SIM_FAULTS"})
    unsetenv(name);
  Ran ran;
  std::FILE* pipe = popen((HEARTH_SIM_FOLDER "/run " + arguments + " 2>&1").c_str(), "r");
  char buffer[256];
  while (std::fgets(buffer, sizeof(buffer), pipe) != nullptr) ran.output += buffer;
  ran.code = WEXITSTATUS(pclose(pipe));
  return ran;
}

TEST(SimRun, ListsProfiles) {
  const Ran ran = run("--list");
  EXPECT_EQ(ran.code, 0);
  EXPECT_NE(ran.output.find("rtx-3050-laptop-6gb"), std::string::npos);
  EXPECT_NE(ran.output.find("none-at-all"), std::string::npos);
}

TEST(SimRun, SetsTheMachineAndKeepsTheExitCode) {
  const Ran ran = run("tiny 'oom at=2' -- sh -c 'echo $HEARTH_SIM_PROFILE/$HEARTH_SIM_FAULTS; exit 7'");
  EXPECT_EQ(ran.code, 7);
  EXPECT_EQ(ran.output, "tiny/oom at=2\n");
  const Ran plain =
      run("tiny,memory_mib=32 -- sh -c 'ls \"${LD_LIBRARY_PATH%%:*}\"; test -e $HEARTH_SIM_STATE && echo shared'");
  EXPECT_NE(plain.output.find("libcuda.so.1"), std::string::npos);
  EXPECT_NE(plain.output.find("shared"), std::string::npos) << plain.output;
  EXPECT_EQ(run("none-at-all -- sh -c 'echo \"[$HEARTH_SIM_PROFILE]\"' ").output.find("tiny"), std::string::npos);
}

TEST(SimRun, SaysWhatIsWrong) {
  EXPECT_EQ(run("").code, 2);
  EXPECT_NE(run("rtx-9999 -- true").output.find("no profile rtx-9999"), std::string::npos);
  EXPECT_NE(run("tiny oom").output.find("comes after --"), std::string::npos);
  EXPECT_NE(run("tiny --").output.find("no command"), std::string::npos);
}

}  // namespace
}  // namespace hearth::sim
