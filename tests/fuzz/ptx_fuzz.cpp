// Any text is parsed as PTX or refused; a module that is accepted has only operands that exist.
#include <cstdlib>
#include <string_view>

#include "fuzz/seeds.h"
#include "sim/exec/lane_ops.h"
#include "sim/ptx/parse.h"

namespace {

using namespace hearth::sim;

void require(bool condition) {
  if (!condition) std::abort();
}

void check(const ptx::Kernel& kernel) {
  for (const ptx::Instruction& instruction : kernel.code) {
    require(instruction.first_operand + instruction.operand_count <= kernel.operands.size());
    const ptx::Operand* operands = kernel.operands.data() + instruction.first_operand;
    if (instruction.op == ptx::Op::kBranch || instruction.op == ptx::Op::kCall)
      require(instruction.target < kernel.code.size());
    if (instruction.guarded) require(instruction.guard + 4 <= kernel.register_bytes);
    for (std::size_t i = 0; i < instruction.operand_count; ++i) {
      const ptx::Operand& operand = operands[i];
      using Kind = ptx::Operand::Kind;
      if (operand.kind == Kind::kConstant) require(operand.index < kernel.constants.size());
      if (operand.kind == Kind::kRegister) require(operand.index + operand.bytes * 32u <= kernel.register_bytes);
      if (operand.kind == Kind::kPredicate) require(operand.index + 4 <= kernel.register_bytes);
    }
    const bool special = instruction.op == ptx::Op::kMov && operands[1].kind == ptx::Operand::Kind::kSpecial;
    if (instruction.op <= ptx::Op::kCvtPack && !special) require(exec::lane_function(instruction, operands) != nullptr);
  }
  for (const auto& table : kernel.branch_tables) {
    for (const std::uint32_t target : table) require(target < kernel.code.size());
  }
}

// A kernel with these instructions, and with everything that they name.
std::string module_of(const char* instructions) {
  return std::string(
             ".version 8.0\n.target sm_80\n.address_size 64\n"
             ".global .align 4 .b8 table[16] = {1, 2, 3};\n"
             ".visible .entry k(.param .u64 p, .param .u32 n)\n{\n"
             ".reg .pred %p<4>;\n.reg .b16 %h<4>;\n.reg .b32 %r<16>;\n.reg .f32 %f<16>;\n.reg .f64 %e<4>;\n"
             ".reg .b64 %d<8>;\n.shared .align 16 .b8 s[256];\n.local .align 8 .b8 l[32];\n") +
         instructions + "\nret;\n}\n";
}

const char* const kInstructions[] = {
    "ld.param.u64 %d1, [p];\nld.param.u32 %r1, [n];\ncvta.to.global.u64 %d2, %d1;\nmul.wide.u32 %d3, %r1, 4;\n"
    "add.s64 %d2, %d2, %d3;\nld.global.nc.v4.f32 {%f1, %f2, %f3, %f4}, [%d2+16];\nst.global.v2.u32 [%d2], {%r1, 7};",
    "mov.u32 %r1, %ctaid.x;\nmov.u32 %r2, %ntid.x;\nmov.u32 %r3, %tid.x;\nmad.lo.s32 %r4, %r1, %r2, %r3;\n"
    "setp.ge.u32 %p1, %r4, %r1;\n@%p1 bra $DONE;\n@!%p1 bra.uni $DONE;\n$DONE: bar.sync 0;",
    "fma.rn.f32 %f1, %f2, %f3, 0f3F800000;\ndiv.rn.f32 %f1, %f2, %f3;\nex2.approx.ftz.f32 %f1, %f2;\nsqrt.rn.f32 %f1, "
    "%f2;\n"
    "rcp.rn.f32 %f1, %f2;\nmax.f32 %f1, %f2, %f3;\nabs.f32 %f1, %f2;\nselp.f32 %f1, %f2, %f3, %p1;\nadd.f64 %e1, %e2, "
    "%e3;",
    "cvt.rn.f16.f32 %h1, %f1;\ncvt.f32.f16 %f1, %h1;\ncvt.rni.s32.f32 %r1, %f1;\ncvt.s16.s8 %h1, %h2;\n"
    "cvt.u64.u32 %d1, %r1;\ncvt.sat.f32.f32 %f1, %f2;\ncvt.rn.f32.s64 %f1, %d1;",
    "shfl.sync.bfly.b32 %r1|%p1, %r2, 16, 31, -1;\nvote.sync.ballot.b32 %r1, %p1, -1;\nbar.warp.sync -1;\n"
    "popc.b32 %r1, %r2;\nbfi.b32 %r1, %r2, %r3, 4, 8;\nprmt.b32 %r1, %r2, %r3, 0x5410;\nlop3.b32 %r1, %r2, %r3, %r4, "
    "0x96;",
    "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f1,%f2,%f3,%f4}, {%r1,%r2,%r3,%r4}, {%r5,%r6}, "
    "{%f1,%f2,%f3,%f4};\n"
    "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%r1,%r2,%r3,%r4}, {%r5,%r6,%r7,%r8}, {%r9,%r10}, "
    "{%r1,%r2,%r3,%r4};\n"
    "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%r1,%r2,%r3,%r4}, [s];\ndp4a.s32.s32 %r1, %r2, %r3, %r4;",
    "cp.async.cg.shared.global [s+16], [%d1], 16;\ncp.async.commit_group;\ncp.async.wait_group 0;\n"
    "atom.global.add.u32 %r1, [%d1], %r2;\nred.shared.add.u32 [s], 1;\nld.local.v2.f32 {%f1, %f2}, [l+8];",
    "{ .reg .b32 %x<2>; mov.b32 %x1, {%h1, %h2}; mov.b64 {%r1, %r2}, %d1; }\nt: .branchtargets a, b;\n"
    "brx.idx %r1, t;\na: exit;\nb: trap;",
};

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  std::vector<std::string> seeds;
  for (const char* instructions : kInstructions) {
    seeds.push_back(module_of(instructions));
    require(ptx::parse(seeds.back()).ok());
  }
  hearth::fuzz::use_seeds(seeds, argc, argv);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto module = ptx::parse({reinterpret_cast<const char*>(data), size});
  if (module) {
    for (const ptx::Kernel& kernel : module->kernels) check(kernel);
  }
  return 0;
}
