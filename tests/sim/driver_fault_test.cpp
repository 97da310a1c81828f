// Fault scripts: each fault, when it comes and what it does.
#include <chrono>

#include "sim/driver_support.h"
#include "sim/machine/faults.h"

namespace hearth::sim {
namespace {

TEST(SimFault, OutOfMemoryAtTheNthAllocation) {
  Sim sim("tiny", "oom at=2");
  sim.start();
  CUdeviceptr address = 0;
  EXPECT_EQ(sim.cuMemAlloc(&address, 4), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuMemAlloc(&address, 4), CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ(sim.cuMemAlloc(&address, 4), CUDA_SUCCESS);
}

TEST(SimFault, OutOfMemoryFromTheNthOnWithPhysicalMemoryToo) {
  Sim sim("tiny", "oom at=2+");
  sim.start();
  CUdeviceptr address = 0;
  EXPECT_EQ(sim.cuMemAlloc(&address, 4), CUDA_SUCCESS);
  CUmemAllocationProp properties{};
  properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  CUmemGenericAllocationHandle handle = 0;
  EXPECT_EQ(sim.cuMemCreate(&handle, 2 * kMiB, &properties, 0), CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ(sim.cuMemAlloc(&address, 4), CUDA_ERROR_OUT_OF_MEMORY);
}

TEST(SimFault, AnyResultFromInitialisation) {
  for (const int code : {3, 34, 46, 100, 101, 209, 218, 222, 304, 801, 802, 803, 804, 999}) {
    Sim sim("tiny", "fail call=cuInit error=" + std::to_string(code));
    EXPECT_EQ(sim.cuInit(0), code);
    int count = 0;
    EXPECT_EQ(sim.cuDeviceGetCount(&count), CUDA_ERROR_NOT_INITIALIZED);
  }
}

TEST(SimFault, AnyResultFromTheNthCallOfAFunction) {
  Sim sim("tiny", "fail call=cuMemAlloc_v2 error=999 at=2; fail call=cuCtxSynchronize error=719 at=3+");
  sim.start();
  CUdeviceptr address = 0;
  EXPECT_EQ(sim.cuMemAlloc(&address, 4), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuMemAlloc(&address, 4), CUDA_ERROR_UNKNOWN);
  EXPECT_EQ(sim.cuMemAlloc(&address, 4), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuCtxSynchronize(), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuCtxSynchronize(), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuCtxSynchronize(), CUDA_ERROR_LAUNCH_FAILED);
  EXPECT_EQ(sim.cuCtxSynchronize(), CUDA_ERROR_LAUNCH_FAILED);
}

TEST(SimFault, TheStubLibraryAnswers34ToEverything) {
  Sim sim("tiny", "stub");
  int version = 0;
  EXPECT_EQ(sim.cuInit(0), CUDA_ERROR_STUB_LIBRARY);
  EXPECT_EQ(sim.cuDriverGetVersion(&version), CUDA_ERROR_STUB_LIBRARY);
}

TEST(SimFault, AMissingFunctionIsNotExported) {
  Sim sim("tiny", "missing call=cuGraphAddMemcpyNode; missing call=cuGetProcAddress_v2");
  EXPECT_EQ(sim.cuGraphAddMemcpyNode, nullptr);
  EXPECT_EQ(sim.cuGetProcAddress, nullptr);
  EXPECT_NE(sim.cuGraphCreate, nullptr);
  sim.start();
}

// Launches kernels until one is refused; returns how many went well.
int launch_until_failure(Sim& sim, CUresult& failure) {
  const CUfunction fill = sim.function(sim.load_kernels(), "fill");
  const CUdeviceptr p = sim.allocate(4);
  for (int i = 0; i < 20; ++i) {
    failure = sim.run(fill, p, 1, 1);
    if (failure == CUDA_SUCCESS) failure = sim.cuCtxSynchronize();
    if (failure != CUDA_SUCCESS) return i;
  }
  return 20;
}

TEST(SimFault, AStickyErrorAtALaunchIsCuredByAReset) {
  Sim sim("tiny", "sticky launch=5 error=719");
  sim.start();
  CUresult failure{};
  EXPECT_EQ(launch_until_failure(sim, failure), 4);
  EXPECT_EQ(failure, CUDA_ERROR_LAUNCH_FAILED);
  ASSERT_EQ(sim.cuDevicePrimaryCtxReset(0), CUDA_SUCCESS);
  CUcontext fresh = nullptr;
  ASSERT_EQ(sim.cuDevicePrimaryCtxRetain(&fresh, 0), CUDA_SUCCESS);
  ASSERT_EQ(sim.cuCtxSetCurrent(fresh), CUDA_SUCCESS);
  EXPECT_EQ(launch_until_failure(sim, failure), 20) << "it happens once";
}

TEST(SimFault, SomeStickyErrorsCannotBeReset) {
  Sim sim("tiny", "sticky launch=1; no-reset");
  sim.start();
  CUresult failure{};
  EXPECT_EQ(launch_until_failure(sim, failure), 0);
  EXPECT_EQ(sim.cuDevicePrimaryCtxReset(0), CUDA_ERROR_ILLEGAL_ADDRESS);
  EXPECT_EQ(sim.cuDevicePrimaryCtxRelease(0), CUDA_SUCCESS);
  CUcontext again = nullptr;
  EXPECT_EQ(sim.cuDevicePrimaryCtxRetain(&again, 0), CUDA_ERROR_ILLEGAL_ADDRESS) << "the process has to end";
}

TEST(SimFault, ALostDeviceStaysLostWhileItIs) {
  Folder folder;
  Sim sim("tiny-two", "lost launch=3 device=0 until-file=" + (folder / "back"));
  sim.start();
  CUresult failure{};
  EXPECT_EQ(launch_until_failure(sim, failure), 2);
  EXPECT_EQ(failure, CUDA_ERROR_UNKNOWN);
  EXPECT_EQ(sim.cuDevicePrimaryCtxReset(0), CUDA_ERROR_UNKNOWN);
  CUcontext other = nullptr;
  EXPECT_EQ(sim.cuDevicePrimaryCtxRetain(&other, 1), CUDA_SUCCESS) << "the other device is there";
  std::ofstream(folder / "back") << "";
  EXPECT_EQ(sim.cuDevicePrimaryCtxReset(0), CUDA_SUCCESS);
  CUcontext fresh = nullptr;
  ASSERT_EQ(sim.cuDevicePrimaryCtxRetain(&fresh, 0), CUDA_SUCCESS);
  ASSERT_EQ(sim.cuCtxSetCurrent(fresh), CUDA_SUCCESS);
  EXPECT_EQ(launch_until_failure(sim, failure), 20);
}

TEST(SimFault, AnotherProcessTakesMemoryAndGivesItBack) {
  Sim sim("tiny", "take mib=30 launch=2 until-launch=4");
  sim.start();
  const CUfunction fill = sim.function(sim.load_kernels(), "fill");
  const CUdeviceptr p = sim.allocate(4);
  const std::size_t before = sim.free_bytes();
  std::vector<std::size_t> seen;
  for (int i = 0; i < 4; ++i) {
    ASSERT_EQ(sim.run(fill, p, 1, 1), CUDA_SUCCESS);
    ASSERT_EQ(sim.cuCtxSynchronize(), CUDA_SUCCESS);
    seen.push_back(sim.free_bytes());
  }
  EXPECT_EQ(seen, (std::vector<std::size_t>{before, before - 30 * kMiB, before - 30 * kMiB, before}));
}

TEST(SimFault, TimeCanPassByCalls) {
  setenv("HEARTH_SIM_CLOCK", "call:1", 1);
  Sim sim("tiny", "take mib=16 second=8 until-second=10");
  sim.start();  // three calls
  std::vector<std::size_t> seen;
  for (int i = 0; i < 8; ++i) seen.push_back(sim.free_bytes() / kMiB);
  unsetenv("HEARTH_SIM_CLOCK");
  EXPECT_EQ(seen, (std::vector<std::size_t>{48, 48, 48, 48, 32, 32, 48, 48}));
}

TEST(SimFault, ACompilationCanTakeItsTime) {
  Sim sim("tiny", "slow-compile seconds=0.3 at=2");
  sim.start();
  const auto seconds = [&] {
    const auto start = std::chrono::steady_clock::now();
    sim.load_kernels();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  const double first = seconds(), second = seconds();
  EXPECT_GE(second, 0.3);
  EXPECT_GE(second - first, 0.1) << "the first is not slow";
}

TEST(SimFault, SchedulesCanFollowAFunctionsCalls) {
  Sim sim("tiny", "take mib=16 call=cuMemGetInfo#3");
  sim.start();
  EXPECT_EQ(sim.free_bytes(), 48 * kMiB);
  EXPECT_EQ(sim.free_bytes(), 48 * kMiB);
  EXPECT_EQ(sim.free_bytes(), 32 * kMiB);
}

TEST(SimFault, MayTakeMoreThanIsFree) {
  Folder folder;
  Sim sim("tiny", "take mib=40 file=" + (folder / "chrome"));
  sim.start();
  const CUdeviceptr p = sim.allocate(20 * kMiB);
  std::ofstream(folder / "chrome") << "";
  EXPECT_EQ(sim.free_bytes(), 0u);
  unsigned value = 3;
  EXPECT_EQ(sim.cuMemcpyHtoD(p, &value, 4), CUDA_SUCCESS) << "what one has stays";
}

TEST(SimFault, CallsCanBeTraced) {
  Sim sim("tiny", "oom at=1");
  sim.start();
  CUdeviceptr address = 0;
  EXPECT_EQ(sim.cuMemAlloc(&address, 4), CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ(sim.trace(), "cuInit 0\ncuDevicePrimaryCtxRetain 0\ncuCtxSetCurrent 0\ncuMemAlloc_v2 2\n");
}

TEST(SimFault, ScriptsCanBeJson) {
  const auto faults = parse_faults(R"([{"fault": "lost", "launch": 20, "until-second": 1.5},
                                       {"fault": "take", "mib": 100, "name": "chrome"}, {"fault": "oom", "at": "3+"}])");
  ASSERT_TRUE(faults.ok()) << faults.error().message;
  ASSERT_EQ(faults->lost.size(), 1u);
  EXPECT_EQ(faults->lost[0].when.launch, 20);
  EXPECT_EQ(faults->lost[0].until.second, 1.5);
  EXPECT_EQ(faults->take[0].bytes, 100 * kMiB);
  EXPECT_TRUE(faults->take[0].always);
  EXPECT_TRUE(faults->out_of_memory[0].contains(7));
  EXPECT_FALSE(faults->out_of_memory[0].contains(2));
}

TEST(SimFault, MistakesInAScriptAreNamed) {
  const auto problem = [](const char* text) {
    const auto faults = parse_faults(text);
    return faults.ok() ? std::string("accepted") : faults.error().message;
  };
  EXPECT_NE(problem("explode").find("unknown fault \"explode\""), std::string::npos);
  EXPECT_NE(problem("oom at=x").find("\"x\" is not a whole number"), std::string::npos);
  EXPECT_NE(problem("lost device=0").find("say when"), std::string::npos);
  EXPECT_NE(problem("oom when=3").find("unknown key \"when\""), std::string::npos);
  EXPECT_NE(problem("fail call=cuInit").find("error=CODE"), std::string::npos);
  EXPECT_NE(problem("[1]").find("not a JSON object"), std::string::npos);
  EXPECT_EQ(problem(" ; "), "accepted");
}

}  // namespace
}  // namespace hearth::sim
