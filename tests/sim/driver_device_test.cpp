// Initialisation, devices and contexts of the simulated driver.
#include <thread>

#include "sim/driver_support.h"

namespace hearth::sim {
namespace {

TEST(SimDevice, NothingWorksBeforeInitialisation) {
  Sim sim("tiny");
  int count = 0;
  EXPECT_EQ(sim.cuDeviceGetCount(&count), CUDA_ERROR_NOT_INITIALIZED);
  EXPECT_EQ(sim.cuInit(1), CUDA_ERROR_INVALID_VALUE);
  int version = 0;
  EXPECT_EQ(sim.cuDriverGetVersion(&version), CUDA_SUCCESS);
  EXPECT_EQ(version, 12080);  // driver 570
  EXPECT_EQ(sim.cuInit(0), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuDeviceGetCount(&count), CUDA_SUCCESS);
  EXPECT_EQ(count, 1);
}

TEST(SimDevice, TellsTheProfilesFacts) {
  Sim sim("rtx-3050-laptop-6gb");
  ASSERT_EQ(sim.cuInit(0), CUDA_SUCCESS);
  CUdevice device = -1;
  ASSERT_EQ(sim.cuDeviceGet(&device, 0), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuDeviceGet(&device, 1), CUDA_ERROR_INVALID_DEVICE);
  EXPECT_EQ(sim.cuDeviceGet(nullptr, 0), CUDA_ERROR_INVALID_VALUE);
  char name[64];
  ASSERT_EQ(sim.cuDeviceGetName(name, sizeof(name), 0), CUDA_SUCCESS);
  EXPECT_STREQ(name, "NVIDIA GeForce RTX 3050 6GB Laptop GPU");
  char bus[16];
  ASSERT_EQ(sim.cuDeviceGetPCIBusId(bus, sizeof(bus), 0), CUDA_SUCCESS);
  EXPECT_STREQ(bus, "0000:01:00.0");
  std::size_t bytes = 0;
  ASSERT_EQ(sim.cuDeviceTotalMem(&bytes, 0), CUDA_SUCCESS);
  EXPECT_EQ(bytes, (6144 - 173) * kMiB);
  const auto attribute = [&](CUdevice_attribute which) {
    int value = -1;
    EXPECT_EQ(sim.cuDeviceGetAttribute(&value, which, 0), CUDA_SUCCESS);
    return value;
  };
  EXPECT_EQ(attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR), 8);
  EXPECT_EQ(attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR), 6);
  EXPECT_EQ(attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT), 20);
  EXPECT_EQ(attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN), 99 * 1024);
  EXPECT_EQ(attribute(CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE), 7001000);
  int value = 0;
  EXPECT_EQ(sim.cuDeviceGetAttribute(&value, static_cast<CUdevice_attribute>(9999), 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(sim.cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 7), CUDA_ERROR_INVALID_DEVICE);
}

TEST(SimDevice, NoDeviceIsSaidByInit) {
  Sim sim("no-device");
  EXPECT_EQ(sim.cuInit(0), CUDA_ERROR_NO_DEVICE);
}

// What CUDA then counts.
std::string names_of_visible(const char* list) {
  Sim sim("tiny-two", "", 0, list);
  const CUresult result = sim.cuInit(0);
  int count = 0;
  EXPECT_EQ(sim.cuDeviceGetCount(&count), result == CUDA_SUCCESS ? CUDA_SUCCESS : CUDA_ERROR_NOT_INITIALIZED);
  EXPECT_EQ(result, count > 0 ? CUDA_SUCCESS : CUDA_ERROR_NO_DEVICE) << list;
  std::string names;
  for (int i = 0; i < count; ++i) {
    char name[64];
    EXPECT_EQ(sim.cuDeviceGetName(name, sizeof(name), i), CUDA_SUCCESS);
    names += (i > 0 ? ", " : "") + std::string(name);
  }
  return names;
}

TEST(SimDevice, ShowsWhatTheEnvironmentMakesVisible) {
  EXPECT_EQ(names_of_visible("0,1"), "Tiny GPU A, Tiny GPU B");
  EXPECT_EQ(names_of_visible("1, 0"), "Tiny GPU B, Tiny GPU A");
  EXPECT_EQ(names_of_visible("1"), "Tiny GPU B");
  EXPECT_EQ(names_of_visible("GPU-5e4a7f00-1e57-4a0d-8c00-000000000002,0"), "Tiny GPU B, Tiny GPU A");
  for (const char* ends : {"0,2,1", "0,-1,1", "0,,1", "0,GPU-5e4a7f01,1", "0,B,1"})
    EXPECT_EQ(names_of_visible(ends), "Tiny GPU A") << ends;
  for (const char* none :
       {"", "-1", "2", "GPU-5e4a7f00", "GPU-", "\"0\"", "0,0", "1,GPU-5e4a7f00-1e57-4a0d-8c00-000000000002"})
    EXPECT_EQ(names_of_visible(none), "") << none;
}

TEST(SimDevice, VisibleDevicesKeepTheirPlaceOnTheMachine) {
  Sim sim("tiny-two", "take mib=6 device=1; lost call=cuInit device=0", 0, "1");
  sim.start();
  EXPECT_EQ(sim.free_bytes(), (32 - 8 - 8 - 6) * kMiB) << "less what others have there";
  std::size_t total = 0;
  EXPECT_EQ(sim.cuDeviceTotalMem(&total, 0), CUDA_SUCCESS);
  EXPECT_EQ(total, (32 - 8) * kMiB);
  sim.allocate(2 * kMiB);
  EXPECT_EQ(sim.cuCtxSynchronize(), CUDA_SUCCESS) << "the other one is lost";
}

TEST(SimDevice, NamesErrors) {
  Sim sim("tiny");
  const char* text = nullptr;
  EXPECT_EQ(sim.cuGetErrorName(CUDA_ERROR_OPERATING_SYSTEM, &text), CUDA_SUCCESS);
  EXPECT_STREQ(text, "CUDA_ERROR_OPERATING_SYSTEM");
  EXPECT_EQ(sim.cuGetErrorString(CUDA_ERROR_OUT_OF_MEMORY, &text), CUDA_SUCCESS);
  EXPECT_STREQ(text, "out of memory");
  EXPECT_EQ(sim.cuGetErrorName(static_cast<CUresult>(12345), &text), CUDA_ERROR_INVALID_VALUE);
}

TEST(SimDevice, GivesFunctionsByName) {
  Sim sim("tiny");
  void* function = nullptr;
  CUdriverProcAddressQueryResult status{};
  EXPECT_EQ(sim.cuGetProcAddress("cuMemAlloc", &function, 12000, 0, &status), CUDA_SUCCESS);
  EXPECT_EQ(function, reinterpret_cast<void*>(sim.cuMemAlloc));
  EXPECT_EQ(status, CU_GET_PROC_ADDRESS_SUCCESS);
  EXPECT_EQ(sim.cuGetProcAddress("cuNoSuchThing", &function, 12000, 0, &status), CUDA_ERROR_NOT_FOUND);
  EXPECT_EQ(status, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
  EXPECT_EQ(sim.cuGetProcAddress("cuMemAlloc", &function, 13000, 0, &status), CUDA_ERROR_NOT_FOUND);
  EXPECT_EQ(status, CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
}

TEST(SimDevice, ExportsOnlyTheDriversFunctions) {
  Sim sim("tiny");
  EXPECT_EQ(sim.find<void()>("_ZN6hearth12check_failedEPKciS1_"), nullptr);
  EXPECT_NE(sim.find<void()>("cuCtxCreate_v2"), nullptr);
}

TEST(SimContext, IsNeededAndCounted) {
  Sim sim("tiny");
  ASSERT_EQ(sim.cuInit(0), CUDA_SUCCESS);
  CUdeviceptr address = 0;
  EXPECT_EQ(sim.cuMemAlloc(&address, 16), CUDA_ERROR_INVALID_CONTEXT);
  CUcontext first = nullptr, second = nullptr;
  ASSERT_EQ(sim.cuDevicePrimaryCtxRetain(&first, 0), CUDA_SUCCESS);
  ASSERT_EQ(sim.cuDevicePrimaryCtxRetain(&second, 0), CUDA_SUCCESS);
  EXPECT_EQ(first, second);
  ASSERT_EQ(sim.cuCtxSetCurrent(first), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuDevicePrimaryCtxRelease(0), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuCtxSynchronize(), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuDevicePrimaryCtxRelease(0), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuCtxSynchronize(), CUDA_ERROR_CONTEXT_IS_DESTROYED);
  EXPECT_EQ(sim.cuDevicePrimaryCtxRelease(0), CUDA_ERROR_INVALID_CONTEXT);
  EXPECT_EQ(sim.cuCtxSetCurrent(first), CUDA_ERROR_INVALID_CONTEXT);
}

TEST(SimContext, ResetDestroysWhatIsInItAndKeepsTheCount) {
  Sim sim("tiny");
  const CUcontext before = sim.start();
  const CUdeviceptr address = sim.allocate(100);
  const CUmodule module = sim.load_kernels();
  ASSERT_EQ(sim.cuDevicePrimaryCtxReset(0), CUDA_SUCCESS);
  CUcontext after = nullptr;
  ASSERT_EQ(sim.cuDevicePrimaryCtxRetain(&after, 0), CUDA_SUCCESS);
  EXPECT_NE(before, after);
  ASSERT_EQ(sim.cuCtxSetCurrent(after), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuMemFree(address), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(sim.cuModuleUnload(module), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(sim.cuDevicePrimaryCtxRelease(0), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuDevicePrimaryCtxRelease(0), CUDA_SUCCESS);
}

TEST(SimContext, BelongsToTheThread) {
  Sim sim("tiny-two");
  const CUcontext first = sim.start(0);
  CUcontext second = nullptr;
  ASSERT_EQ(sim.cuDevicePrimaryCtxRetain(&second, 1), CUDA_SUCCESS);
  EXPECT_NE(first, second);
  EXPECT_NE(sim.free_bytes(), 0u);
  ASSERT_EQ(sim.cuCtxSetCurrent(second), CUDA_SUCCESS);
  EXPECT_EQ(sim.free_bytes(), (32 - 8 - 8) * kMiB);
  std::thread([&] {
    CUcontext elsewhere = first;
    EXPECT_EQ(sim.cuCtxGetCurrent(&elsewhere), CUDA_SUCCESS);
    EXPECT_EQ(elsewhere, nullptr) << "another thread has its own";
  }).join();
  ASSERT_EQ(sim.cuCtxSetCurrent(nullptr), CUDA_SUCCESS);
  CUcontext current = first;
  EXPECT_EQ(sim.cuCtxGetCurrent(&current), CUDA_SUCCESS);
  EXPECT_EQ(current, nullptr);
  EXPECT_EQ(sim.cuCtxSynchronize(), CUDA_ERROR_INVALID_CONTEXT);
}

TEST(SimContext, RespectsTheComputeMode) {
  Sim sim("tiny,compute_mode=2");
  ASSERT_EQ(sim.cuInit(0), CUDA_SUCCESS);
  CUcontext context = nullptr;
  EXPECT_EQ(sim.cuDevicePrimaryCtxRetain(&context, 0), CUDA_ERROR_DEVICE_UNAVAILABLE);
}

TEST(SimContext, NeedsItsOwnMemory) {
  Sim sim("tiny", "take mib=50");
  ASSERT_EQ(sim.cuInit(0), CUDA_SUCCESS);
  CUcontext context = nullptr;
  EXPECT_EQ(sim.cuDevicePrimaryCtxRetain(&context, 0), CUDA_ERROR_OUT_OF_MEMORY);
}

TEST(SimContext, OldStyleContextsStack) {
  Sim sim("tiny");
  ASSERT_EQ(sim.cuInit(0), CUDA_SUCCESS);
  auto* create = sim.find<CUresult(CUcontext*, unsigned, CUdevice)>("cuCtxCreate_v2");
  auto* destroy = sim.find<CUresult(CUcontext)>("cuCtxDestroy_v2");
  CUcontext one = nullptr, two = nullptr, current = nullptr;
  ASSERT_EQ(create(&one, 0, 0), CUDA_SUCCESS);
  ASSERT_EQ(create(&two, 0, 0), CUDA_SUCCESS);
  EXPECT_EQ(destroy(two), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuCtxGetCurrent(&current), CUDA_SUCCESS);
  EXPECT_EQ(current, one);
  EXPECT_EQ(destroy(one), CUDA_SUCCESS);
  EXPECT_EQ(destroy(one), CUDA_ERROR_INVALID_CONTEXT);
}

}  // namespace
}  // namespace hearth::sim
