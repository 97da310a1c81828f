// Every fault: provoked, and reported with the place where it happened.
#include "harness.h"

namespace hearth::sim::exec {
namespace {

using Words = std::vector<std::uint32_t>;

struct Expected {
  FaultKind kind;
  std::uint32_t thread;
  std::string text;  // part of the message
};

void expect_fault(const LaunchResult& result, const std::string& ptx, const Expected& expected) {
  ASSERT_TRUE(result.fault);
  const std::string message = result.fault->message();
  EXPECT_EQ(result.fault->kind, expected.kind) << message;
  EXPECT_EQ(result.fault->line, line_of(ptx, "// here")) << message;
  EXPECT_EQ(result.fault->kernel, "k");
  EXPECT_EQ(result.fault->thread[0], expected.thread) << message;
  EXPECT_NE(message.find(expected.text), std::string::npos) << message;
}

// Thread i accesses the i-th element of `p`.
std::string access(const std::string& instruction) {
  return kernel(".param .u64 p", R"(
ld.param.u64 %rd0, [p];
mov.u32 %r0, %tid.x;
mul.wide.u32 %rd1, %r0, 4;
add.u64 %rd1, %rd0, %rd1;
)" + instruction + " // here\n");
}

TEST(Faults, OneByteTooFar) {
  Gpu gpu;
  const std::string ptx = access("ld.global.u32 %r1, [%rd1];");
  gpu.load(ptx);
  const Address p = gpu.upload(std::vector<std::uint8_t>(4 * 20 + 3, 1));
  const auto result = gpu.try_run("k", {1, 1, 1}, {32, 1, 1}, 0, p);
  expect_fault(result, ptx, {FaultKind::kIllegalAddress, 20, "before the end of 83 bytes"});
  EXPECT_EQ(result.fault->address, p + 80);
  EXPECT_FALSE(result.fault->write);
  gpu.run("k", {1, 1, 1}, {20, 1, 1}, 0, p);
}

TEST(Faults, WritesToFreedMemory) {
  Gpu gpu;
  const std::string ptx = access("st.global.u32 [%rd1], %r0;");
  gpu.load(ptx);
  const Address p = gpu.allocate(4096);
  gpu.run("k", {1, 1, 1}, {32, 1, 1}, 0, p);
  ASSERT_TRUE(gpu.memory.free(p).ok());
  const auto result = gpu.try_run("k", {1, 1, 1}, {32, 1, 1}, 0, p);
  expect_fault(result, ptx, {FaultKind::kIllegalAddress, 0, "freed"});
  EXPECT_TRUE(result.fault->write);
}

TEST(Faults, NullPointersAndHostPointers) {
  Gpu gpu;
  const std::string ptx = access("ld.u32 %r1, [%rd1+8];");
  gpu.load(ptx);
  expect_fault(gpu.try_run("k", {1, 1, 1}, {32, 1, 1}, 0, Address{0}), ptx,
               {FaultKind::kIllegalAddress, 0, "null pointer"});
  const int host = 0;
  expect_fault(gpu.try_run("k", {1, 1, 1}, {32, 1, 1}, 0, reinterpret_cast<Address>(&host)), ptx,
               {FaultKind::kIllegalAddress, 0, "not pinned"});
}

TEST(Faults, MemoryOfAnotherDevice) {
  Gpu gpu;
  const std::string ptx = access("ld.global.u32 %r1, [%rd1];");
  gpu.load(ptx);
  const Address p = gpu.upload(Words(32, 1));
  ASSERT_TRUE(gpu.memory.set_access(p, 128, 1, 1).ok());
  gpu.run("k", {1, 1, 1}, {32, 1, 1}, 0, p);
  gpu.options.device = 1;
  expect_fault(gpu.try_run("k", {1, 1, 1}, {32, 1, 1}, 0, p), ptx, {FaultKind::kIllegalAddress, 0, "device 1 may not"});
}

TEST(Faults, Misalignment) {
  Gpu gpu;
  const std::string ptx = access("ld.global.v2.u32 {%r1, %r2}, [%rd1];");
  gpu.load(ptx);
  expect_fault(gpu.try_run("k", {1, 1, 1}, {32, 1, 1}, 0, gpu.upload(Words(33, 1))), ptx,
               {FaultKind::kMisaligned, 1, "8 bytes"});
}

TEST(Faults, UninitialisedReads) {
  const std::string ptx = access("ld.global.u32 %r1, [%rd1];");
  Gpu gpu;
  gpu.load(ptx);
  const Address p = gpu.allocate(128);
  gpu.memory.fill(p, 17, 0, 4);
  const auto result = gpu.try_run("k", {1, 1, 1}, {32, 1, 1}, 0, p);
  expect_fault(result, ptx, {FaultKind::kUninitialisedRead, 17, "nobody wrote"});

  gpu.options.uninitialised = Uninitialised::kRecord;
  const LaunchStats stats = gpu.run("k", {4, 1, 1}, {32, 1, 1}, 0, p);
  ASSERT_EQ(stats.uninitialised_reads.size(), 1u) << "one report for each instruction";
  EXPECT_EQ(stats.uninitialised_reads[0].thread[0], 17u);
  gpu.options.uninitialised = Uninitialised::kIgnore;
  EXPECT_TRUE(gpu.run("k", {1, 1, 1}, {32, 1, 1}, 0, p).uninitialised_reads.empty());
}

TEST(Faults, UninitialisedLocalAndSharedMemory) {
  for (const std::string space : {"local", "shared"}) {
    const std::string ptx =
        kernel("", "." + space + " .u32 a[4];\nmov.u32 %r0, a;\nst." + space + ".u32 [%r0+4], 1;\nld." + space +
                       ".u32 %r1, [%r0+4];\nld." + space + ".u32 %r1, [%r0+8]; // here\n");
    Gpu gpu;
    gpu.load(ptx);
    expect_fault(gpu.try_run("k", {1, 1, 1}, {32, 1, 1}, 0), ptx, {FaultKind::kUninitialisedRead, 0, space});
  }
}

TEST(Faults, SharedMemoryEndsToTheByte) {
  const std::string ptx = kernel("", R"(
mov.u32 %r0, %tid.x;
mov.u32 %r1, dynamic;
add.u32 %r1, %r1, %r0;
mov.u16 %h0, 1;
st.shared.u8 [%r1], %h0; // here
)",
                                 ".extern .shared .align 16 .b8 dynamic[];");
  Gpu gpu;
  gpu.load(ptx);
  gpu.run("k", {1, 1, 1}, {21, 1, 1}, 21);
  expect_fault(gpu.try_run("k", {1, 1, 1}, {22, 1, 1}, 21), ptx, {FaultKind::kIllegalAddress, 21, "the block has 21"});
}

TEST(Faults, GenericAddressesKnowTheirSpace) {
  const std::string ptx = kernel("", R"(
.shared .u32 s[2];
.local .u32 l[2];
mov.u32 %r0, s;
cvt.u64.u32 %rd0, %r0;
cvta.shared.u64 %rd0, %rd0;
mov.u32 %r1, l;
cvt.u64.u32 %rd1, %r1;
cvta.local.u64 %rd1, %rd1;
mov.u32 %r2, %tid.x;
setp.lt.u32 %p0, %r2, 16;
selp.b64 %rd2, %rd0, %rd1, %p0;
st.u32 [%rd2], 5;
ld.u32 %r3, [%rd2];
isspacep.shared %p1, %rd2;
@%p1 ld.shared.u32 %r4, [%r0];
@!%p1 ld.local.u32 %r4, [%r1];
setp.ne.u32 %p2, %r3, %r4;
@%p2 trap;
st.u32 [%rd2+8], 5; // here
)");
  Gpu gpu;
  gpu.load(ptx);
  expect_fault(gpu.try_run("k", {1, 1, 1}, {32, 1, 1}, 0), ptx, {FaultKind::kIllegalAddress, 0, "of shared memory"});
}

TEST(Faults, Traps) {
  const std::string ptx = kernel("", R"(
mov.u32 %r0, %tid.x;
setp.eq.u32 %p0, %r0, 9;
@%p0 trap; // here
)");
  Gpu gpu;
  gpu.load(ptx);
  expect_fault(gpu.try_run("k", {1, 1, 1}, {32, 1, 1}, 0), ptx, {FaultKind::kTrap, 9, "trap"});
}

TEST(Faults, LanesOutsideOfTheirOwnMask) {
  const std::string ptx = kernel("", "mov.u32 %r0, 1;\nshfl.sync.idx.b32 %r1, %r0, 0, 31, 0xff; // here\n");
  Gpu gpu;
  gpu.load(ptx);
  expect_fault(gpu.try_run("k", {1, 1, 1}, {32, 1, 1}, 0), ptx, {FaultKind::kInvalidInstruction, 8, "member mask"});
}

TEST(Faults, LanesThatWaitForLanesAtAnotherPlace) {
  const std::string ptx = kernel("", R"(
mov.u32 %r0, %tid.x;
setp.lt.u32 %p0, %r0, 16;
@%p0 bra LOW;
shfl.sync.idx.b32 %r1, %r0, 0, 31, -1; // here
bra DONE;
LOW:
shfl.sync.idx.b32 %r1, %r0, 1, 31, -1;
DONE:
)");
  Gpu gpu;
  gpu.load(ptx);
  const auto result = gpu.try_run("k", {1, 1, 1}, {32, 1, 1}, 0);
  ASSERT_TRUE(result.fault);
  EXPECT_EQ(result.fault->kind, FaultKind::kDeadlock) << result.fault->message();
  EXPECT_NE(result.fault->message().find("16 lanes at line " + std::to_string(line_of(ptx, "// here"))),
            std::string::npos)
      << result.fault->message();
}

TEST(Faults, BarriersThatCannotComplete) {
  const std::string ptx = kernel("", R"(
mov.u32 %r0, %tid.x;
setp.lt.u32 %p0, %r0, 32;
@%p0 bra FIRST;
bar.sync 1;
bra DONE;
FIRST:
bar.sync 0; // here
DONE:
)");
  Gpu gpu;
  gpu.load(ptx);
  expect_fault(gpu.try_run("k", {1, 1, 1}, {64, 1, 1}, 0), ptx, {FaultKind::kDeadlock, 0, "warp 1 waits"});

  const std::string counted = kernel("", "bar.sync 2, 96; // here\n");
  Gpu other;
  other.load(counted);
  expect_fault(other.try_run("k", {1, 1, 1}, {64, 1, 1}, 0), counted,
               {FaultKind::kDeadlock, 0, "64 threads of 96 are there"});
}

TEST(Faults, EndlessLoops) {
  Gpu gpu;
  gpu.options.max_warp_instructions = 100000;
  gpu.load(kernel("", "LOOP:\nadd.u32 %r0, %r0, 1;\nbra LOOP;\n"));
  const auto result = gpu.try_run("k", {1, 1, 1}, {32, 1, 1}, 0);
  ASSERT_TRUE(result.fault);
  EXPECT_EQ(result.fault->kind, FaultKind::kEndlessLoop);
}

TEST(Faults, LaunchesThatTheKernelCannotHave) {
  Gpu gpu;
  gpu.load(
      ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u32 x) .maxntid 64, 1, "
      "1\n{\nret;\n}\n");
  const auto kind = [&](Gpu::Dimensions grid, Gpu::Dimensions block, std::uint32_t shared) {
    const auto fault = gpu.try_run("k", grid, block, shared, 1u).fault;
    return fault ? fault->kind : FaultKind::kTrap;
  };
  EXPECT_EQ(kind({1, 1, 1}, {64, 1, 1}, 0), FaultKind::kTrap) << "none";
  EXPECT_EQ(kind({1, 1, 1}, {65, 1, 1}, 0), FaultKind::kInvalidLaunch);
  EXPECT_EQ(kind({0, 1, 1}, {64, 1, 1}, 0), FaultKind::kInvalidLaunch);
  EXPECT_EQ(kind({1, 70000, 1}, {64, 1, 1}, 0), FaultKind::kInvalidLaunch);
  EXPECT_EQ(kind({1, 1, 1}, {64, 1, 1}, 300000), FaultKind::kInvalidLaunch);
}

}  // namespace
}  // namespace hearth::sim::exec
