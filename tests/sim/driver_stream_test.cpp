// Streams and events: what is ordered and what is not. Seeds are part of every message.
#include "sim/driver_support.h"

namespace hearth::sim {
namespace {

constexpr unsigned kSeeds = 16;
constexpr std::size_t kBytes = 64 * sizeof(unsigned);

// A producer and a consumer in two streams; with or without the wait for the event between them.
std::vector<unsigned> produce_and_consume(std::uint64_t seed, bool wait) {
  Sim sim("tiny", "", seed);
  sim.start();
  const CUmodule module = sim.load_kernels();
  const CUdeviceptr p = sim.allocate(kBytes);
  CUstream producer = nullptr, consumer = nullptr;
  CUevent ready = nullptr;
  EXPECT_EQ(sim.cuMemsetD8Async(p, 0, kBytes, nullptr), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuCtxSynchronize(), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuStreamCreate(&producer, CU_STREAM_NON_BLOCKING), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuStreamCreate(&consumer, CU_STREAM_NON_BLOCKING), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuEventCreate(&ready, CU_EVENT_DISABLE_TIMING), CUDA_SUCCESS);
  EXPECT_EQ(sim.run(sim.function(module, "fill"), p, 64, 7, producer), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuEventRecord(ready, producer), CUDA_SUCCESS);
  if (wait) {
    EXPECT_EQ(sim.cuStreamWaitEvent(consumer, ready, 0), CUDA_SUCCESS);
  }
  EXPECT_EQ(sim.run(sim.function(module, "scale"), p, 64, 3, consumer), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuStreamSynchronize(consumer), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuStreamSynchronize(producer), CUDA_SUCCESS);
  return sim.read(p, 64);
}

TEST(SimStream, AMissingEventWaitFailsUnderSomeSeed) {
  unsigned failed = 0;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    if (produce_and_consume(seed, false) != std::vector<unsigned>(64, 21)) ++failed;
  }
  EXPECT_GT(failed, 0u) << "of seeds 0 to " << kSeeds - 1;
  EXPECT_LT(failed, kSeeds) << "the right order was never tried";
}

TEST(SimStream, ACorrectProgramFailsUnderNoSeed) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    EXPECT_EQ(produce_and_consume(seed, true), std::vector<unsigned>(64, 21)) << "seed " << seed;
  }
}

TEST(SimStream, TheSameSeedGivesTheSameOrder) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    EXPECT_EQ(produce_and_consume(seed, false), produce_and_consume(seed, false)) << "seed " << seed;
  }
}

TEST(SimStream, AChosenSeedIsPrinted) {
  Sim sim("tiny");
  unsetenv("HEARTH_SIM_SEED");
  sim.start();
  EXPECT_NE(sim.log().find("HEARTH_SIM_SEED="), std::string::npos) << sim.log();
}

TEST(SimStream, TheDefaultStreamOrdersBlockingStreamsOnly) {
  unsigned disordered = 0;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    for (const unsigned flags : {0u, static_cast<unsigned>(CU_STREAM_NON_BLOCKING)}) {
      Sim sim("tiny", "", seed);
      sim.start();
      const CUmodule module = sim.load_kernels();
      const CUdeviceptr p = sim.allocate(kBytes);
      CUstream stream = nullptr;
      ASSERT_EQ(sim.cuMemsetD8Async(p, 0, kBytes, nullptr), CUDA_SUCCESS);
      ASSERT_EQ(sim.cuCtxSynchronize(), CUDA_SUCCESS);
      ASSERT_EQ(sim.cuStreamCreate(&stream, flags), CUDA_SUCCESS);
      ASSERT_EQ(sim.run(sim.function(module, "fill"), p, 64, 7, stream), CUDA_SUCCESS);
      ASSERT_EQ(sim.run(sim.function(module, "scale"), p, 64, 3, nullptr), CUDA_SUCCESS);
      ASSERT_EQ(sim.cuCtxSynchronize(), CUDA_SUCCESS);
      const bool ordered = sim.read(p, 1)[0] == 21;
      EXPECT_TRUE(ordered || flags != 0) << "seed " << seed;
      if (flags != 0 && !ordered) ++disordered;
    }
  }
  EXPECT_GT(disordered, 0u);
}

// Seeds 0 and 1 of four do everything as late as possible, seed 3 at once.
constexpr std::uint64_t kLate = 4;
constexpr std::uint64_t kAtOnce = 3;

unsigned overwritten_pinned(std::uint64_t seed) {
  Sim sim("tiny", "", seed);
  sim.start();
  void* pinned = nullptr;
  EXPECT_EQ(sim.cuMemHostAlloc(&pinned, 4, 0), CUDA_SUCCESS);
  auto& staging = *static_cast<unsigned*>(pinned);
  const CUdeviceptr p = sim.allocate(4);
  CUstream stream = nullptr;
  EXPECT_EQ(sim.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING), CUDA_SUCCESS);
  staging = 1;
  EXPECT_EQ(sim.cuMemcpyHtoDAsync(p, pinned, 4, stream), CUDA_SUCCESS);
  staging = 2;  // before the copy was waited for
  EXPECT_EQ(sim.cuStreamSynchronize(stream), CUDA_SUCCESS);
  return sim.read(p, 1)[0];
}

TEST(SimStream, PinnedMemoryIsReadWhenItIsTheCopysTurn) {
  EXPECT_EQ(overwritten_pinned(kLate), 2u);
  EXPECT_EQ(overwritten_pinned(kAtOnce), 1u);
}

TEST(SimStream, PageableMemoryIsReadAtOnce) {
  Sim sim("tiny", "", kLate);
  sim.start();
  const CUdeviceptr p = sim.allocate(4);
  unsigned value = 1;
  ASSERT_EQ(sim.cuMemcpyHtoDAsync(p, &value, 4, nullptr), CUDA_SUCCESS);
  value = 2;
  unsigned back = 0;
  ASSERT_EQ(sim.cuMemcpyDtoHAsync(&back, p, 4, nullptr), CUDA_SUCCESS);
  EXPECT_EQ(back, 1u) << "a copy to pageable memory returns when it is done";
}

TEST(SimStream, ResultsInPinnedMemoryComeWithSynchronisation) {
  Sim sim("tiny", "", kLate);
  sim.start();
  void* pinned = nullptr;
  ASSERT_EQ(sim.cuMemHostAlloc(&pinned, 4, 0), CUDA_SUCCESS);
  const CUdeviceptr p = sim.allocate(4);
  ASSERT_EQ(sim.cuMemsetD8Async(p, 1, 4, nullptr), CUDA_SUCCESS);
  ASSERT_EQ(sim.cuMemcpyDtoHAsync(pinned, p, 4, nullptr), CUDA_SUCCESS);
  EXPECT_EQ(*static_cast<unsigned*>(pinned), 0u);
  ASSERT_EQ(sim.cuStreamSynchronize(nullptr), CUDA_SUCCESS);
  EXPECT_EQ(*static_cast<unsigned*>(pinned), 0x01010101u);
}

TEST(SimStream, WhoAsksAgainAndAgainSeesTheEnd) {
  Sim sim("tiny", "", kLate);
  sim.start();
  const CUfunction fill = sim.function(sim.load_kernels(), "fill");
  const CUdeviceptr p = sim.allocate(kBytes);
  CUevent event = nullptr;
  ASSERT_EQ(sim.cuEventCreate(&event, 0), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuEventQuery(event), CUDA_SUCCESS) << "never recorded";
  for (int i = 0; i < 5; ++i) ASSERT_EQ(sim.run(fill, p, 64, 1), CUDA_SUCCESS);
  ASSERT_EQ(sim.cuEventRecord(event, nullptr), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuStreamQuery(nullptr), CUDA_ERROR_NOT_READY);
  int asked = 0;
  while (sim.cuEventQuery(event) == CUDA_ERROR_NOT_READY && asked < 100) ++asked;
  EXPECT_EQ(sim.cuEventQuery(event), CUDA_SUCCESS);
  EXPECT_LT(asked, 10);
}

TEST(SimStream, EventsMeasureTimeOnlyWhenTheyMay) {
  Sim sim("tiny");
  sim.start();
  CUevent from = nullptr, to = nullptr, untimed = nullptr;
  ASSERT_EQ(sim.cuEventCreate(&from, 0), CUDA_SUCCESS);
  ASSERT_EQ(sim.cuEventCreate(&to, 0), CUDA_SUCCESS);
  ASSERT_EQ(sim.cuEventCreate(&untimed, CU_EVENT_DISABLE_TIMING), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuEventCreate(&to, 0x40), CUDA_ERROR_INVALID_VALUE);
  float ms = -1;
  EXPECT_EQ(sim.cuEventElapsedTime(&ms, from, to), CUDA_ERROR_INVALID_HANDLE) << "not recorded";
  for (const CUevent event : {from, to, untimed}) ASSERT_EQ(sim.cuEventRecord(event, nullptr), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuEventElapsedTime(&ms, from, to), CUDA_ERROR_NOT_READY);
  ASSERT_EQ(sim.cuCtxSynchronize(), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuEventElapsedTime(&ms, from, to), CUDA_SUCCESS);
  EXPECT_GE(ms, 0);
  EXPECT_EQ(sim.cuEventElapsedTime(&ms, from, untimed), CUDA_ERROR_INVALID_HANDLE);
}

TEST(SimStream, HandlesAreCheckedAfterTheirEnd) {
  Sim sim("tiny");
  sim.start();
  CUstream stream = nullptr;
  ASSERT_EQ(sim.cuStreamCreate(&stream, 0), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuStreamCreate(&stream, 2), CUDA_ERROR_INVALID_VALUE);
  const CUfunction fill = sim.function(sim.load_kernels(), "fill");
  const CUdeviceptr p = sim.allocate(kBytes);
  ASSERT_EQ(sim.run(fill, p, 64, 4, stream), CUDA_SUCCESS);
  ASSERT_EQ(sim.cuStreamDestroy(stream), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuStreamDestroy(stream), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(sim.cuStreamSynchronize(stream), CUDA_ERROR_INVALID_HANDLE);
  CUevent event = nullptr;
  ASSERT_EQ(sim.cuEventCreate(&event, 0), CUDA_SUCCESS);
  ASSERT_EQ(sim.cuEventDestroy(event), CUDA_SUCCESS);
  EXPECT_EQ(sim.cuEventRecord(event, nullptr), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(sim.cuStreamWaitEvent(nullptr, event, 0), CUDA_ERROR_INVALID_HANDLE);
}

}  // namespace
}  // namespace hearth::sim
