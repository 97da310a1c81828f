// Shuffles, votes, barriers, shared memory, atomics, asynchronous copies; results must not depend on the seed.
#include <numeric>

#include "harness.h"

namespace hearth::sim::exec {
namespace {

using Words = std::vector<std::uint32_t>;

TEST(Sync, ShufflesSumAWarp) {
  std::string body = "mov.u32 %r1, %tid.x;\n";
  for (const char* step : {"16", "8", "4", "2", "1"}) {
    body += std::string("shfl.sync.bfly.b32 %r2, %r1, ") + step + ", 31, -1;\nadd.u32 %r1, %r1, %r2;\n";
  }
  for (const std::uint32_t value : output_of(kernel(kOut, body + kStoreR1), 32, 32)) EXPECT_EQ(value, 31u * 32 / 2);
}

TEST(Sync, HalvesOfAWarpShuffleOnTheirOwn) {
  // The mask is in a register and differs between the halves.
  const std::string ptx = kernel(kOut, R"(
mov.u32 %r1, %tid.x;
setp.lt.u32 %p0, %r1, 16;
selp.b32 %r3, 0x0000ffff, 0xffff0000, %p0;
@%p0 bra LOW;
add.u32 %r1, %r1, 100;
LOW:
shfl.sync.down.b32 %r1, %r1, 1, 31, %r3; // may reach into the other half
)" + kStoreR1);
  Gpu gpu;
  gpu.load(ptx);
  const auto result = gpu.try_run("k", {1, 1, 1}, {32, 1, 1}, 0, gpu.allocate(128));
  ASSERT_TRUE(result.fault) << "lane 15 takes the value of lane 16, which does not take part";
  EXPECT_EQ(result.fault->kind, FaultKind::kInvalidInstruction);
  EXPECT_EQ(result.fault->thread[0], 15u);

  std::string halves = ptx;
  halves.replace(halves.find("1, 31, %r3"), 10, "1, 0x100f, %r3");  // segments of 16 lanes
  const Words out = output_of(halves, 32, 32);
  for (std::uint32_t i = 0; i < 32; ++i) {
    const std::uint32_t from = i % 16 == 15 ? i : i + 1;
    EXPECT_EQ(out[i], from < 16 ? from : from + 100) << i;
  }
}

TEST(Sync, LanesMeetAtAShuffleFromDifferentWays) {
  const std::string ptx = kernel(kOut, R"(
mov.u32 %r1, %tid.x;
and.b32 %r2, %r1, 3;
setp.eq.u32 %p0, %r2, 0;
@!%p0 bra JOIN;
mul.lo.u32 %r1, %r1, 1000;
JOIN:
shfl.sync.idx.b32 %r1, %r1, 4, 31, -1;
)" + kStoreR1);
  for (const std::uint32_t value : output_of(ptx, 32, 32)) EXPECT_EQ(value, 4000u);
}

TEST(Sync, WarpSyncsAtDifferentPlacesMeet) {
  const std::string ptx = kernel(kOut, R"(
.shared .u32 s[32];
mov.u32 %r0, %tid.x;
mul.lo.u32 %r3, %r0, 4;
mov.u32 %r4, s;
add.u32 %r3, %r3, %r4;
xor.b32 %r5, %r0, 16;
mad.lo.u32 %r5, %r5, 4, %r4;
setp.lt.u32 %p0, %r0, 16;
@%p0 bra LOW;
st.shared.u32 [%r3], %r0;
bar.warp.sync -1;
bra DONE;
LOW:
add.u32 %r6, %r0, 100;
st.shared.u32 [%r3], %r6;
bar.warp.sync -1;
DONE:
ld.shared.u32 %r1, [%r5];
)" + kStoreR1);
  const Words out = output_of(ptx, 32, 32);
  for (std::uint32_t i = 0; i < 32; ++i) EXPECT_EQ(out[i], i < 16 ? i + 16 : i - 16 + 100) << i;
}

// Sum of 256 values through shared memory, with or without the barrier in the loop.
std::string tree_reduction(bool with_barrier) {
  return kernel(".param .u64 in, " + kOut, std::string(R"(
.shared .u32 s[256];
mov.u32 %r0, %tid.x;
ld.param.u64 %rd0, [in];
mul.wide.u32 %rd1, %r0, 4;
add.u64 %rd0, %rd0, %rd1;
ld.global.u32 %r1, [%rd0];
mov.u32 %r2, s;
mad.lo.u32 %r2, %r0, 4, %r2;
st.shared.u32 [%r2], %r1;
bar.sync 0;
mov.u32 %r3, 128;
LOOP:
setp.ge.u32 %p0, %r0, %r3;
@%p0 bra SKIP;
mad.lo.u32 %r4, %r3, 4, %r2;
ld.shared.u32 %r5, [%r4]; // read
ld.shared.u32 %r6, [%r2];
add.u32 %r6, %r6, %r5;
st.shared.u32 [%r2], %r6;
SKIP:
)") + (with_barrier ? "bar.sync 0;\n" : "") + R"(
shr.u32 %r3, %r3, 1;
setp.ne.u32 %p1, %r3, 0;
@%p1 bra LOOP;
setp.ne.u32 %p2, %r0, 0;
@%p2 bra END;
ld.param.u64 %rd2, [out];
st.global.u32 [%rd2], %r6;
END:
)");
}

TEST(Sync, ATreeThroughSharedMemoryNeedsItsBarriers) {
  Words values(256);
  std::iota(values.begin(), values.end(), 1000);
  const std::uint32_t sum = std::accumulate(values.begin(), values.end(), 0u);
  int wrong = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    for (const bool with_barrier : {true, false}) {
      Gpu gpu;
      gpu.options.seed = seed;
      gpu.options.quantum = 8;
      gpu.load(tree_reduction(with_barrier));
      const Address out = gpu.allocate(4);
      gpu.run("k", {1, 1, 1}, {256, 1, 1}, 0, gpu.upload(values), out);
      const std::uint32_t got = gpu.download<std::uint32_t>(out, 1)[0];
      if (with_barrier) {
        EXPECT_EQ(got, sum) << "seed " << seed;
      } else {
        wrong += got != sum;
      }
    }
  }
  EXPECT_GT(wrong, 0) << "a missing barrier shows under some seed";
}

TEST(Races, AMissingBarrierIsFoundAndAPresentOneIsNot) {
  for (const bool with_barrier : {true, false}) {
    Gpu gpu;
    gpu.options.detect_races = true;
    const std::string ptx = tree_reduction(with_barrier);
    gpu.load(ptx);
    const auto result = gpu.try_run("k", {1, 1, 1}, {256, 1, 1}, 0, gpu.upload(Words(256, 1)), gpu.allocate(4));
    EXPECT_EQ(result.fault.has_value(), !with_barrier);
    if (with_barrier) {
      if (result.fault) ADD_FAILURE() << result.fault->message();
      continue;
    }
    ASSERT_TRUE(result.fault);
    EXPECT_EQ(result.fault->kind, FaultKind::kRace) << result.fault->message();
    EXPECT_NE(result.fault->message().find("nothing between"), std::string::npos) << result.fault->message();
  }
}

TEST(Races, LanesOfOneWarpNeedAWarpSync) {
  const auto text = [](const char* between) {
    return kernel(kOut, std::string(R"(
.shared .u32 s[32];
mov.u32 %r0, %tid.x;
mov.u32 %r2, s;
mad.lo.u32 %r3, %r0, 4, %r2;
st.shared.u32 [%r3], %r0;
)") + between + R"(
xor.b32 %r4, %r0, 1;
mad.lo.u32 %r4, %r4, 4, %r2;
ld.shared.u32 %r1, [%r4]; // neighbour
)" + kStoreR1);
  };
  const auto fault_of = [](const std::string& ptx) {
    Gpu gpu;
    gpu.options.detect_races = true;
    gpu.load(ptx);
    return gpu.try_run("k", {1, 1, 1}, {32, 1, 1}, 0, gpu.allocate(128)).fault;
  };
  EXPECT_FALSE(fault_of(text("bar.warp.sync -1;")));
  const auto none = fault_of(text(""));
  ASSERT_TRUE(none);
  EXPECT_EQ(none->kind, FaultKind::kRace);
  EXPECT_EQ(none->line, line_of(text(""), "// neighbour"));
  const auto shuffle = fault_of(text("shfl.sync.idx.b32 %r5, %r0, 0, 31, -1;"));
  ASSERT_TRUE(shuffle) << "a shuffle orders no memory";
}

TEST(Races, AtomicsDoNotRaceAndEqualWritesOfOneInstructionNeither) {
  Gpu gpu;
  gpu.options.detect_races = true;
  gpu.load(kernel(kOut, R"(
.shared .u32 s[2];
mov.u32 %r2, 5;
setp.ne.u32 %p0, %r0, %r0;
mov.u32 %r0, %tid.x;
setp.gt.u32 %p0, %r0, 31;
@%p0 bra WAIT;
st.shared.u32 [s], 0;
WAIT:
bar.sync 0;
red.shared.add.u32 [s], 1;
bar.sync 0;
ld.shared.u32 %r1, [s];
)" + kStoreR1));
  const Address out = gpu.allocate(64 * 4);
  gpu.run("k", {1, 1, 1}, {64, 1, 1}, 0, out);
  for (const std::uint32_t value : gpu.download<std::uint32_t>(out, 64)) EXPECT_EQ(value, 64u);
}

TEST(Sync, NamedBarriersLetProducersGoOn) {
  // Warp 0 produces and arrives, warp 1 waits for it; then the sum of predicates over all.
  const std::string ptx = kernel(kOut, R"(
.shared .u32 s[32];
mov.u32 %r0, %tid.x;
and.b32 %r2, %r0, 31;
mov.u32 %r3, s;
mad.lo.u32 %r3, %r2, 4, %r3;
setp.ge.u32 %p0, %r0, 32;
@%p0 bra CONSUMER;
add.u32 %r4, %r0, 500;
st.shared.u32 [%r3], %r4;
bar.arrive 3, 64;
mov.u32 %r1, 1;
bra DONE;
CONSUMER:
bar.sync 3, 64;
ld.shared.u32 %r1, [%r3];
DONE:
setp.gt.u32 %p1, %r1, 510;
bar.red.popc.u32 %r5, 0, %p1;
add.u32 %r1, %r1, %r5;
)" + kStoreR1);
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    Gpu gpu;
    gpu.options.seed = seed;
    gpu.options.detect_races = true;
    gpu.load(ptx);
    const Address out = gpu.allocate(256);
    gpu.run("k", {1, 1, 1}, {64, 1, 1}, 0, out);
    const Words got = gpu.download<std::uint32_t>(out, 64);
    for (std::uint32_t i = 0; i < 64; ++i) EXPECT_EQ(got[i], (i < 32 ? 1 : i - 32 + 500) + 21) << i;
  }
}

TEST(Sync, AtomicsOfAllBlocksAddUpOnSeveralHostThreads) {
  const std::string ptx = kernel(".param .u64 sum", R"(
ld.param.u64 %rd0, [sum];
mov.u32 %r0, %tid.x;
mov.u32 %r1, %ctaid.x;
add.u32 %r1, %r1, %r0;
atom.global.add.u32 %r2, [%rd0], %r1;
red.global.max.u32 [%rd0+4], %r1;
mov.f32 %f0, 0f3F000000;
red.global.add.f32 [%rd0+8], %f0;
cvt.u64.u32 %rd1, %r1;
red.global.add.u64 [%rd0+16], %rd1;
)");
  for (const int threads : {1, 3}) {
    Gpu gpu;
    gpu.options.host_threads = threads;
    gpu.load(ptx);
    const Address sum = gpu.upload(Words(6, 0));
    const LaunchStats stats = gpu.run("k", {50, 1, 1}, {64, 1, 1}, 0, sum);
    const Words got = gpu.download<std::uint32_t>(sum, 6);
    std::uint32_t expected = 0;
    for (std::uint32_t b = 0; b < 50; ++b) {
      for (std::uint32_t t = 0; t < 64; ++t) expected += b + t;
    }
    EXPECT_EQ(got[0], expected);
    EXPECT_EQ(got[1], 49u + 63u);
    float half_sum = 0;
    std::memcpy(&half_sum, &got[2], 4);
    EXPECT_EQ(half_sum, 1600.0f);
    EXPECT_EQ(got[4], expected);
    EXPECT_EQ(stats.thread_instructions, stats.warp_instructions * 32);
  }
}

// Each thread copies 16 bytes to shared memory and reads what its neighbour copied.
std::string async_copy(const char* wait) {
  return kernel(".param .u64 in, " + kOut, std::string(R"(
.shared .align 16 .b8 s[512];
mov.u32 %r0, %tid.x;
ld.param.u64 %rd0, [in];
mul.wide.u32 %rd1, %r0, 16;
add.u64 %rd0, %rd0, %rd1;
mov.u32 %r2, s;
mad.lo.u32 %r3, %r0, 16, %r2;
setp.eq.u32 %p0, %r0, 5;
selp.b32 %r5, 4, 16, %p0;
cp.async.cg.shared.global [%r3], [%rd0], 16, %r5;
cp.async.commit_group;
)") + wait + R"(
bar.sync 0;
xor.b32 %r4, %r0, 1;
mad.lo.u32 %r4, %r4, 16, %r2;
ld.shared.v4.u32 {%r5, %r6, %r7, %r8}, [%r4]; // read
add.u32 %r1, %r5, %r8;
)" + kStoreR1);
}

TEST(Sync, AsynchronousCopiesArriveWhenTheyAreWaitedFor) {
  Words values(128);
  std::iota(values.begin(), values.end(), 0);
  Gpu gpu;
  gpu.options.detect_races = true;
  gpu.load(async_copy("cp.async.wait_group 0;"));
  const Address out = gpu.allocate(128);
  gpu.run("k", {1, 1, 1}, {32, 1, 1}, 0, gpu.upload(values), out);
  const Words got = gpu.download<std::uint32_t>(out, 32);
  for (std::uint32_t i = 0; i < 32; ++i) {
    const std::uint32_t from = i ^ 1;
    EXPECT_EQ(got[i], 4 * from + (from == 5 ? 0 : 4 * from + 3)) << i;  // thread 5 copies 4 bytes, the rest is zero
  }
}

TEST(Sync, AsynchronousCopiesThatAreNotWaitedForAreNotThere) {
  for (const char* wait : {"", "cp.async.wait_group 1;"}) {
    const std::string ptx = async_copy(wait);
    Gpu gpu;
    gpu.load(ptx);
    const auto result = gpu.try_run("k", {1, 1, 1}, {32, 1, 1}, 0, gpu.upload(Words(128, 1)), gpu.allocate(128));
    ASSERT_TRUE(result.fault);
    EXPECT_EQ(result.fault->kind, FaultKind::kUninitialisedRead);
    EXPECT_EQ(result.fault->line, line_of(ptx, "// read"));
    EXPECT_NE(result.fault->message().find("cp.async"), std::string::npos) << result.fault->message();
  }
}

TEST(Sync, BarriersInMemory) {
  // Warp 0 fills, all others wait for its 32 arrivals.
  const std::string ptx = kernel(kOut, R"(
.shared .align 8 .b64 m;
.shared .u32 s[32];
mov.u32 %r0, %tid.x;
and.b32 %r2, %r0, 31;
mov.u32 %r3, s;
mad.lo.u32 %r3, %r2, 4, %r3;
setp.ne.u32 %p0, %r0, 0;
@%p0 bra READY;
mbarrier.init.shared.b64 [m], 32;
READY:
bar.sync 0;
setp.ge.u32 %p1, %r0, 32;
@%p1 bra WAIT;
add.u32 %r4, %r0, 7;
st.shared.u32 [%r3], %r4;
mbarrier.arrive.shared.b64 %rd0, [m];
WAIT:
mbarrier.try_wait.parity.shared.b64 %p2, [m], 0;
@!%p2 bra WAIT;
ld.shared.u32 %r1, [%r3];
)" + kStoreR1);
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    Gpu gpu;
    gpu.options.seed = seed;
    gpu.options.detect_races = true;
    gpu.load(ptx);
    const Address out = gpu.allocate(96 * 4);
    gpu.run("k", {1, 1, 1}, {96, 1, 1}, 0, out);
    const Words got = gpu.download<std::uint32_t>(out, 96);
    for (std::uint32_t i = 0; i < 96; ++i) EXPECT_EQ(got[i], i % 32 + 7) << i;
  }
}

}  // namespace
}  // namespace hearth::sim::exec
