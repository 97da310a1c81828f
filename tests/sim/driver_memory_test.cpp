// Memory of the simulated driver: accounts to the byte, limits, copies, pinned memory, virtual memory management.
#include "sim/driver_support.h"

namespace hearth::sim {
namespace {

constexpr std::size_t kTinyFree = (64 - 8 - 8) * kMiB;  // profile tiny: 64, driver 8, context 8

TEST(SimMemory, IsAccountedInGranules) {
  Sim sim("tiny");
  sim.start();
  std::size_t free = 0, total = 0;
  ASSERT_EQ(sim.cuMemGetInfo(&free, &total), CUDA_SUCCESS);
  EXPECT_EQ(total, 56 * kMiB);
  EXPECT_EQ(free, kTinyFree);
  const CUdeviceptr byte = sim.allocate(1);
  EXPECT_EQ(sim.free_bytes(), kTinyFree - 2 * kMiB);
  const CUdeviceptr other = sim.allocate(1000);  // shares the granule
  EXPECT_EQ(sim.free_bytes(), kTinyFree - 2 * kMiB);
  const CUdeviceptr large = sim.allocate(3 * kMiB);
  EXPECT_EQ(sim.free_bytes(), kTinyFree - 6 * kMiB);
  EXPECT_EQ(byte % 256, 0u);
  for (const CUdeviceptr address : {byte, other, large}) EXPECT_EQ(sim.cuMemFree(address), CUDA_SUCCESS);
  EXPECT_EQ(sim.free_bytes(), kTinyFree);
}

TEST(SimMemory, EndsExactlyAtTheLimit) {
  Sim sim("tiny");
  sim.start();
  const CUdeviceptr most = sim.allocate(kTinyFree - 2 * kMiB);
  CUdeviceptr address = 0;
  EXPECT_EQ(sim.cuMemAlloc(&address, 2 * kMiB + 1), CUDA_ERROR_OUT_OF_MEMORY);
  ASSERT_EQ(sim.cuMemAlloc(&address, 2 * kMiB), CUDA_SUCCESS);
  EXPECT_EQ(sim.free_bytes(), 0u);
  CUdeviceptr more = 0;
  EXPECT_EQ(sim.cuMemAlloc(&more, 1), CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ(sim.cuMemAlloc(&more, ~std::size_t{0}), CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ(sim.cuMemFree(address), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuMemFree(most), CUDA_SUCCESS);
}

TEST(SimMemory, RefusesWrongFrees) {
  Sim sim("tiny");
  sim.start();
  CUdeviceptr address = 0;
  EXPECT_EQ(sim.cuMemAlloc(&address, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(sim.cuMemAlloc(nullptr, 16), CUDA_ERROR_INVALID_VALUE);
  address = sim.allocate(4096);
  EXPECT_EQ(sim.cuMemFree(address + 256), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(sim.cuMemFree(address), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuMemFree(address), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(sim.cuMemFree(0), CUDA_SUCCESS);
  EXPECT_NE(sim.allocate(4096), address) << "an address was given twice";
}

TEST(SimMemory, CopiesInsideItsBoundsOnly) {
  Sim sim("tiny");
  sim.start();
  const CUdeviceptr p = sim.allocate(10);
  const char out[] = "0123456789";
  char back[11] = {};
  ASSERT_EQ(sim.cuMemcpyHtoD(p, out, 10), CUDA_SUCCESS);
  ASSERT_EQ(sim.cuMemcpyDtoH(back, p, 10), CUDA_SUCCESS);
  EXPECT_STREQ(back, out);
  EXPECT_EQ(sim.cuMemcpyHtoD(p + 1, out, 10), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(sim.cuMemcpyDtoH(back, p - 1, 2), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(sim.cuMemcpyHtoD(0, out, 1), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(sim.cuMemcpyHtoD(p + 99, out, 0), CUDA_SUCCESS);
  ASSERT_EQ(sim.cuMemsetD8Async(p, 'x', 4, nullptr), CUDA_SUCCESS);
  ASSERT_EQ(sim.cuMemcpyDtoDAsync(p + 8, p, 2, nullptr), CUDA_SUCCESS);
  ASSERT_EQ(sim.cuMemcpyDtoH(back, p, 10), CUDA_SUCCESS);
  EXPECT_STREQ(back, "xxxx4567xx");
  EXPECT_EQ(sim.cuMemsetD8Async(p, 0, 11, nullptr), CUDA_ERROR_INVALID_VALUE);
}

TEST(SimMemory, CopiesBetweenDevices) {
  Sim sim("tiny-two");
  const CUcontext first = sim.start(0);
  const CUdeviceptr from = sim.allocate(4);
  CUcontext second = nullptr;
  ASSERT_EQ(sim.cuDevicePrimaryCtxRetain(&second, 1), CUDA_SUCCESS);
  ASSERT_EQ(sim.cuCtxSetCurrent(second), CUDA_SUCCESS);
  const CUdeviceptr to = sim.allocate(4);
  const unsigned value = 77;
  ASSERT_EQ(sim.cuMemcpyHtoD(from, &value, 4), CUDA_SUCCESS);
  ASSERT_EQ(sim.cuMemcpyPeerAsync(to, second, from, first, 4, nullptr), CUDA_SUCCESS);
  EXPECT_EQ(sim.read(to, 1)[0], 77u);
  EXPECT_EQ(sim.cuMemcpyPeerAsync(to, first, from, second, 4, nullptr), CUDA_ERROR_INVALID_VALUE);
  int possible = 1;
  ASSERT_EQ(sim.cuDeviceCanAccessPeer(&possible, 0, 1), CUDA_SUCCESS);
  EXPECT_EQ(possible, 0) << "unequal cards are no peers";
}

TEST(SimMemory, KernelsOfOneDeviceCannotUseTheOthers) {
  Sim sim("tiny-two");
  sim.start(0);
  const CUdeviceptr there = sim.allocate(4);
  CUcontext second = nullptr;
  ASSERT_EQ(sim.cuDevicePrimaryCtxRetain(&second, 1), CUDA_SUCCESS);
  ASSERT_EQ(sim.cuCtxSetCurrent(second), CUDA_SUCCESS);
  const CUfunction fill = sim.function(sim.load_kernels(), "fill");
  ASSERT_EQ(sim.run(fill, there, 1, 5), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
}

TEST(SimMemory, PeersCanBeLetIn) {
  Sim sim("tiny-pair");
  const CUcontext first = sim.start(0);
  const CUdeviceptr before = sim.allocate(4);
  CUcontext second = nullptr;
  ASSERT_EQ(sim.cuDevicePrimaryCtxRetain(&second, 1), CUDA_SUCCESS);
  ASSERT_EQ(sim.cuCtxSetCurrent(second), CUDA_SUCCESS);
  auto* enable = sim.find<CUresult(CUcontext, unsigned)>("cuCtxEnablePeerAccess");
  auto* disable = sim.find<CUresult(CUcontext)>("cuCtxDisablePeerAccess");
  EXPECT_EQ(disable(first), CUDA_ERROR_PEER_ACCESS_NOT_ENABLED);
  ASSERT_EQ(enable(first, 0), CUDA_SUCCESS);
  EXPECT_EQ(enable(first, 0), CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED);
  const CUfunction fill = sim.function(sim.load_kernels(), "fill");
  ASSERT_EQ(sim.run(fill, before, 1, 5), CUDA_SUCCESS);
  EXPECT_EQ(sim.read(before, 1)[0], 5u);
  ASSERT_EQ(disable(first), CUDA_SUCCESS);
  ASSERT_EQ(sim.run(fill, before, 1, 6), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
}

TEST(SimMemory, PinnedMemoryIsKnownAsSuch) {
  Sim sim("tiny");
  sim.start();
  void* pinned = nullptr;
  ASSERT_EQ(sim.cuMemHostAlloc(&pinned, 100, CU_MEMHOSTALLOC_PORTABLE), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuMemHostAlloc(&pinned, 0, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(sim.cuMemHostAlloc(&pinned, 100, 0x80), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(sim.cuMemHostRegister(static_cast<char*>(pinned) + 50, 10, 0), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
  EXPECT_EQ(sim.cuMemHostUnregister(pinned), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
  EXPECT_EQ(sim.cuMemFreeHost(static_cast<char*>(pinned) + 8), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(sim.cuMemFreeHost(pinned), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuMemFreeHost(pinned), CUDA_ERROR_INVALID_VALUE);

  std::vector<unsigned> own(64, 3);
  ASSERT_EQ(sim.cuMemHostRegister(own.data(), 256, 0), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuMemFreeHost(own.data()), CUDA_ERROR_INVALID_VALUE);
  // A kernel writes registered memory through its host address.
  const CUfunction scale = sim.function(sim.load_kernels(), "scale");
  ASSERT_EQ(sim.run(scale, reinterpret_cast<CUdeviceptr>(own.data()), 64, 5), CUDA_SUCCESS);
  ASSERT_EQ(sim.cuCtxSynchronize(), CUDA_SUCCESS);
  EXPECT_EQ(own[63], 15u);
  EXPECT_EQ(sim.cuMemHostUnregister(own.data()), CUDA_SUCCESS);
  ASSERT_EQ(sim.run(scale, reinterpret_cast<CUdeviceptr>(own.data()), 64, 5), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
}

class SimVirtual : public testing::Test {
 protected:
  SimVirtual() : sim("tiny") {
    sim.start();
    properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
    properties.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
    access = {{CU_MEM_LOCATION_TYPE_DEVICE, 0}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
  }
  CUdeviceptr reserve(std::size_t bytes) {
    CUdeviceptr address = 0;
    EXPECT_EQ(sim.cuMemAddressReserve(&address, bytes, 0, 0, 0), CUDA_SUCCESS);
    return address;
  }
  CUmemGenericAllocationHandle create(std::size_t bytes) {
    CUmemGenericAllocationHandle handle = 0;
    EXPECT_EQ(sim.cuMemCreate(&handle, bytes, &properties, 0), CUDA_SUCCESS);
    return handle;
  }

  Sim sim;
  CUmemAllocationProp properties{};
  CUmemAccessDesc access{};
  static constexpr std::size_t kGranule = 2 * kMiB;
};

TEST_F(SimVirtual, MapsPhysicalMemoryAtReservedAddresses) {
  std::size_t granularity = 0;
  ASSERT_EQ(sim.cuMemGetAllocationGranularity(&granularity, &properties, CU_MEM_ALLOC_GRANULARITY_RECOMMENDED),
            CUDA_SUCCESS);
  EXPECT_EQ(granularity, kGranule);
  const CUdeviceptr base = reserve(1024 * kGranule);  // far more than the device has
  EXPECT_EQ(sim.free_bytes(), kTinyFree);
  const auto one = create(kGranule);
  const auto two = create(2 * kGranule);
  EXPECT_EQ(sim.free_bytes(), kTinyFree - 3 * kGranule);
  ASSERT_EQ(sim.cuMemMap(base, kGranule, 0, one, 0), CUDA_SUCCESS);
  ASSERT_EQ(sim.cuMemMap(base + kGranule, 2 * kGranule, 0, two, 0), CUDA_SUCCESS);
  const unsigned value = 9;
  EXPECT_EQ(sim.cuMemcpyHtoD(base, &value, 4), CUDA_ERROR_INVALID_VALUE) << "no access was given yet";
  ASSERT_EQ(sim.cuMemSetAccess(base, 3 * kGranule, &access, 1), CUDA_SUCCESS);
  // A copy across the border of two pieces.
  std::vector<char> pattern(4096, 'a');
  ASSERT_EQ(sim.cuMemcpyHtoD(base + kGranule - 2048, pattern.data(), pattern.size()), CUDA_SUCCESS);
  EXPECT_EQ(sim.read(base + kGranule, 1)[0], 0x61616161u);
  EXPECT_EQ(sim.cuMemcpyHtoD(base + 3 * kGranule - 1, pattern.data(), 2), CUDA_ERROR_INVALID_VALUE);

  // Released while mapped: the memory stays until it is unmapped, then it is free.
  ASSERT_EQ(sim.cuMemRelease(one), CUDA_SUCCESS);
  EXPECT_EQ(sim.free_bytes(), kTinyFree - 3 * kGranule);
  ASSERT_EQ(sim.cuMemUnmap(base, kGranule), CUDA_SUCCESS);
  EXPECT_EQ(sim.free_bytes(), kTinyFree - 2 * kGranule);
  ASSERT_EQ(sim.cuMemUnmap(base + kGranule, 2 * kGranule), CUDA_SUCCESS);
  EXPECT_EQ(sim.free_bytes(), kTinyFree - 2 * kGranule) << "the handle still holds it";
  ASSERT_EQ(sim.cuMemRelease(two), CUDA_SUCCESS);
  EXPECT_EQ(sim.free_bytes(), kTinyFree);
  EXPECT_EQ(sim.cuMemAddressFree(base, 1024 * kGranule), CUDA_SUCCESS);
}

TEST_F(SimVirtual, RefusesEveryMisuse) {
  CUdeviceptr base = 0;
  EXPECT_EQ(sim.cuMemAddressReserve(&base, kGranule + 1, 0, 0, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(sim.cuMemAddressReserve(&base, kGranule, 3, 0, 0), CUDA_ERROR_INVALID_VALUE);
  CUmemGenericAllocationHandle handle = 0;
  EXPECT_EQ(sim.cuMemCreate(&handle, kGranule - 1, &properties, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(sim.cuMemCreate(&handle, kGranule, nullptr, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(sim.cuMemCreate(&handle, 100 * kGranule, &properties, 0), CUDA_ERROR_OUT_OF_MEMORY);
  properties.location.id = 3;
  EXPECT_EQ(sim.cuMemCreate(&handle, kGranule, &properties, 0), CUDA_ERROR_INVALID_DEVICE);
  properties.location.id = 0;

  base = reserve(4 * kGranule);
  handle = create(kGranule);
  EXPECT_EQ(sim.cuMemMap(base, 2 * kGranule, 0, handle, 0), CUDA_ERROR_INVALID_VALUE) << "more than there is";
  EXPECT_EQ(sim.cuMemMap(base + 1, kGranule, 0, handle, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(sim.cuMemMap(base + 4 * kGranule, kGranule, 0, handle, 0), CUDA_ERROR_INVALID_VALUE) << "not reserved";
  EXPECT_EQ(sim.cuMemMap(base, kGranule, 0, handle + 1, 0), CUDA_ERROR_INVALID_VALUE);
  ASSERT_EQ(sim.cuMemMap(base, kGranule, 0, handle, 0), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuMemMap(base, kGranule, 0, handle, 0), CUDA_ERROR_INVALID_VALUE) << "mapped twice";
  EXPECT_EQ(sim.cuMemSetAccess(base, 2 * kGranule, &access, 1), CUDA_ERROR_INVALID_VALUE) << "half of it not mapped";
  access.location.id = 1;
  EXPECT_EQ(sim.cuMemSetAccess(base, kGranule, &access, 1), CUDA_ERROR_INVALID_DEVICE);
  EXPECT_EQ(sim.cuMemAddressFree(base, 4 * kGranule), CUDA_ERROR_INVALID_VALUE) << "still mapped";
  EXPECT_EQ(sim.cuMemUnmap(base, 2 * kGranule), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(sim.cuMemUnmap(base, kGranule), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuMemUnmap(base, kGranule), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(sim.cuMemRelease(handle), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuMemRelease(handle), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(sim.cuMemAddressFree(base, kGranule), CUDA_ERROR_INVALID_VALUE) << "not the whole reservation";
  EXPECT_EQ(sim.cuMemAddressFree(base, 4 * kGranule), CUDA_SUCCESS);
}

TEST_F(SimVirtual, ReadOnlyAccessIsEnforced) {
  const CUdeviceptr base = reserve(kGranule);
  const auto handle = create(kGranule);
  ASSERT_EQ(sim.cuMemMap(base, kGranule, 0, handle, 0), CUDA_SUCCESS);
  access.flags = CU_MEM_ACCESS_FLAGS_PROT_READ;
  ASSERT_EQ(sim.cuMemSetAccess(base, kGranule, &access, 1), CUDA_SUCCESS);
  const CUfunction fill = sim.function(sim.load_kernels(), "fill");
  ASSERT_EQ(sim.run(fill, base, 1, 5), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
}

TEST(SimLeaks, AreReportedByKindAndBytes) {
  Sim sim("tiny");
  sim.start();
  sim.allocate(100);
  sim.allocate(50);
  void* pinned = nullptr;
  ASSERT_EQ(sim.cuMemHostAlloc(&pinned, 4096, 0), CUDA_SUCCESS);
  CUstream stream = nullptr;
  ASSERT_EQ(sim.cuStreamCreate(&stream, 0), CUDA_SUCCESS);
  sim.end();
  const std::string leaks = sim.leaks();
  EXPECT_NE(leaks.find("context of device 0: never freed: 2 device allocations (150 bytes), 1 pinned host allocations "
                       "(4096 bytes), 1 streams"),
            std::string::npos)
      << leaks;
  EXPECT_NE(leaks.find("process: never freed: 1 contexts"), std::string::npos) << leaks;
}

TEST(SimLeaks, ATidyProgramHasNone) {
  Sim sim("tiny");
  sim.start();
  const CUdeviceptr p = sim.allocate(100);
  const CUmodule module = sim.load_kernels();
  ASSERT_EQ(sim.run(sim.function(module, "fill"), p, 25, 1), CUDA_SUCCESS);
  EXPECT_EQ(sim.read(p, 25)[24], 1u);
  ASSERT_EQ(sim.cuModuleUnload(module), CUDA_SUCCESS);
  ASSERT_EQ(sim.cuMemFree(p), CUDA_SUCCESS);
  EXPECT_EQ(sim.free_bytes(), kTinyFree);
  ASSERT_EQ(sim.cuDevicePrimaryCtxRelease(0), CUDA_SUCCESS);
  sim.end();
  EXPECT_EQ(sim.leaks(), "");
}

}  // namespace
}  // namespace hearth::sim
