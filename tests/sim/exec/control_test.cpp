// Control flow: lanes that part and meet, loops, calls, jump tables, exits.
#include "harness.h"

namespace hearth::sim::exec {
namespace {

using Words = std::vector<std::uint32_t>;

TEST(Control, NestedBranchesGiveEachLaneItsOwnWay) {
  const std::string ptx = kernel(kOut, R"(
mov.u32 %r0, %tid.x;
and.b32 %r2, %r0, 1;
setp.eq.u32 %p0, %r2, 0;
@%p0 bra EVEN;
setp.gt.u32 %p1, %r0, 15;
@%p1 bra HIGH;
mov.u32 %r1, 1;
bra DONE;
HIGH:
mov.u32 %r1, 2;
bra DONE;
EVEN:
mov.u32 %r1, 3;
DONE:
add.u32 %r1, %r1, 10;
)" + kStoreR1);
  const Words out = output_of(ptx, 32, 32);
  for (std::uint32_t i = 0; i < 32; ++i) EXPECT_EQ(out[i], i % 2 == 0 ? 13u : i > 15 ? 12u : 11u) << i;
}

TEST(Control, LanesLeaveALoopAtDifferentTimesAndMeetBehindIt) {
  // Sum of 0..tid, then a ballot behind the loop sees all lanes.
  const std::string ptx = kernel(kOut, R"(
mov.u32 %r0, %tid.x;
mov.u32 %r1, 0;
mov.u32 %r2, 0;
LOOP:
add.u32 %r1, %r1, %r2;
add.u32 %r2, %r2, 1;
setp.le.u32 %p0, %r2, %r0;
@%p0 bra LOOP;
activemask.b32 %r3;
add.u32 %r1, %r1, %r3;
)" + kStoreR1);
  const Words out = output_of(ptx, 32, 32);
  for (std::uint32_t i = 0; i < 32; ++i) EXPECT_EQ(out[i], i * (i + 1) / 2 + 0xffffffffu) << i;
}

TEST(Control, LanesThatExitEarlyAreNotWaitedFor) {
  // Odd lanes leave; the others still agree by a vote and pass a barrier.
  const std::string ptx = kernel(kOut, R"(
mov.u32 %r0, %tid.x;
and.b32 %r2, %r0, 1;
setp.ne.u32 %p0, %r2, 0;
@%p0 exit;
bar.sync 0;
setp.eq.u32 %p1, %r2, 0;
vote.sync.ballot.b32 %r1, %p1, 0xffffffff;
)" + kStoreR1);
  const Words out = output_of(ptx, 64, 64);
  for (std::uint32_t i = 0; i < 64; ++i) EXPECT_EQ(out[i], i % 2 == 0 ? 0x55555555u : 0xdeadbeefu) << i;
}

TEST(Control, FunctionsReturnToWhoCalledThem) {
  const std::string function = R"(
.func (.param .b32 result) twice(.param .b32 x)
{
.reg .b32 %a;
.reg .pred %q;
ld.param.b32 %a, [x];
setp.gt.u32 %q, %a, 100;
@%q bra BIG;
add.u32 %a, %a, %a;
BIG:
st.param.b32 [result], %a;
ret;
}
)";
  // Even lanes call once, odd lanes from another place.
  const std::string call = R"(
{
.param .b32 p0;
.param .b32 r0;
st.param.b32 [p0], %r1;
call (r0), twice, (p0);
ld.param.b32 %r1, [r0];
}
)";
  const std::string ptx = kernel(kOut,
                                 R"(
mov.u32 %r0, %tid.x;
mov.u32 %r1, %r0;
and.b32 %r2, %r0, 1;
setp.ne.u32 %p0, %r2, 0;
@%p0 bra ODD;
)" + call + "bra DONE;\nODD:\nadd.u32 %r1, %r1, 100;\n" +
                                     call + "DONE:\n" + kStoreR1,
                                 function);
  const Words out = output_of(ptx, 32, 32);
  for (std::uint32_t i = 0; i < 32; ++i) EXPECT_EQ(out[i], i % 2 == 0 ? 2 * i : i + 100) << i;
}

TEST(Control, JumpTables) {
  const std::string body = R"(
mov.u32 %r0, %tid.x;
ld.param.u32 %r3, [entries];
rem.u32 %r2, %r0, %r3;
T: .branchtargets A, B, C;
brx.idx %r2, T; // jump
A:
mov.u32 %r1, 70;
bra DONE;
B:
mov.u32 %r1, 71;
bra DONE;
C:
mov.u32 %r1, 72;
DONE:
)";
  const std::string ptx = kernel(".param .u32 entries, " + kOut, body + kStoreR1);
  const Words out = output_of(ptx, 32, 32, std::uint32_t{3});
  for (std::uint32_t i = 0; i < 32; ++i) EXPECT_EQ(out[i], 70 + i % 3) << i;

  Gpu gpu;
  gpu.load(ptx);
  const auto result = gpu.try_run("k", {1, 1, 1}, {32, 1, 1}, 0, std::uint32_t{4}, gpu.allocate(128));
  ASSERT_TRUE(result.fault);
  EXPECT_EQ(result.fault->kind, FaultKind::kInvalidInstruction);
  EXPECT_EQ(result.fault->line, line_of(ptx, "// jump"));
  EXPECT_EQ(result.fault->thread[0], 3u);
}

TEST(Control, ALaneThatWaitsForAnotherOfItsWarpDoesNotStarveIt) {
  // Lane 0 waits in a loop, at lower addresses than where lane 1 sets the flag.
  const std::string ptx = kernel(kOut, R"(
mov.u32 %r0, %tid.x;
ld.param.u64 %rd0, [out];
setp.ne.u32 %p0, %r0, 0;
@%p0 bra SETTER;
WAIT:
ld.volatile.global.u32 %r1, [%rd0+4];
setp.ne.u32 %p1, %r1, 7;
@%p1 bra WAIT;
bra DONE;
SETTER:
setp.ne.u32 %p2, %r0, 1;
@%p2 bra DONE;
st.volatile.global.u32 [%rd0+4], 7;
DONE:
setp.ne.u32 %p3, %r0, 0;
@%p3 bra END;
st.global.u32 [%rd0], 99;
END:
)");
  const Words out = output_of(ptx, 32, 2);
  EXPECT_EQ(out, (Words{99, 7}));
}

TEST(Control, SpecialRegistersTellWhereAThreadIs) {
  const std::string ptx = kernel(kOut, R"(
mov.u32 %r0, %tid.x;
mov.u32 %r1, %tid.y;
mov.u32 %r2, %tid.z;
mov.u32 %r3, %ntid.x;
mov.u32 %r4, %ntid.y;
mad.lo.u32 %r5, %r2, %r4, %r1;
mad.lo.u32 %r5, %r5, %r3, %r0;
mov.u32 %r6, %ctaid.y;
mov.u32 %r7, %nctaid.x;
mov.u32 %r8, %ctaid.x;
mad.lo.u32 %r6, %r6, %r7, %r8;
mov.u32 %r7, %laneid;
mov.u32 %r8, %warpid;
mad.lo.u32 %r8, %r8, 32, %r7;
mad.lo.u32 %r6, %r6, 24, %r5;
ld.param.u64 %rd0, [out];
mul.wide.u32 %rd1, %r6, 4;
add.u64 %rd0, %rd0, %rd1;
st.global.u32 [%rd0], %r8;
)");
  Gpu gpu;
  gpu.load(ptx);
  const Address out = gpu.allocate(6 * 24 * 4);
  gpu.run("k", {3, 2, 1}, {2, 3, 4}, 0, out);
  const Words got = gpu.download<std::uint32_t>(out, 6 * 24);
  for (std::uint32_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], i % 24) << i;
}

}  // namespace
}  // namespace hearth::sim::exec
