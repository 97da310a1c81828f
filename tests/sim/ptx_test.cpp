// The parser: what it makes of PTX, and what it says of PTX that is wrong.
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "sim/ptx/parse.h"
#include "support/support.h"

namespace hearth::sim::ptx {
namespace {

std::string module_of(const std::string& body, const std::string& before = "") {
  return ".version 8.0\n.target sm_75\n.address_size 64\n" + before +
         ".visible .entry k(.param .u64 p, .param .u32 n)\n{\n" +
         ".reg .pred %p<4>;\n.reg .b16 %h<4>;\n.reg .b32 %r<8>;\n.reg .f32 %f<8>;\n.reg .b64 %d<8>;\n" + body + "\n}\n";
}

Kernel kernel_of(const std::string& body, const std::string& before = "") {
  Result<Module> module = parse(module_of(body, before));
  EXPECT_TRUE(module.ok()) << module.error().message;
  return module ? module->kernels.at(0) : Kernel{};
}

std::string fault_of(const std::string& body) {
  const Result<Module> module = parse(module_of(body));
  return module ? "no error" : module.error().message;
}

TEST(PtxParser, LaysOutParametersAndDecodesLoads) {
  const Kernel kernel =
      kernel_of("ld.param.u32 %r1, [n];\nld.param.u64 %d1, [p];\nst.global.v2.u32 [%d1+16], {%r1, 7};\nret;");
  ASSERT_EQ(kernel.parameters.size(), 2u);
  EXPECT_EQ(kernel.parameters[1].offset, 8u);
  EXPECT_EQ(kernel.parameter_bytes, 12u);
  ASSERT_EQ(kernel.code.size(), 4u);
  const Instruction& load = kernel.code[0];
  EXPECT_EQ(load.op, Op::kLd);
  EXPECT_EQ(load.space, Space::kParam);
  EXPECT_EQ(kernel.constants[kernel.operands[load.first_operand + 1].index].value, 8u);
  const Instruction& store = kernel.code[2];
  EXPECT_EQ(store.vector, 2);
  EXPECT_EQ(store.displacement, 16);
  EXPECT_EQ(store.line, 13u);
  EXPECT_EQ(kernel.operands[store.first_operand + 2].kind, Operand::Kind::kConstant);
}

TEST(PtxParser, ResolvesLabelsOfTheInnermostBlock) {
  const Kernel kernel =
      kernel_of("$L: add.s32 %r1, %r1, 1;\n{ setp.lt.s32 %p1, %r1, 9;\n@!%p1 bra $L;\n$L: bra $L; }\nbra $L;");
  EXPECT_EQ(kernel.code[2].target, 3u);
  EXPECT_TRUE(kernel.code[2].guarded && kernel.code[2].guard_negated);
  EXPECT_EQ(kernel.code[4].target, 0u);
  EXPECT_EQ(kernel.code[5].op, Op::kRet);  // the end of the body
}

TEST(PtxParser, JumpsThroughTables) {
  const Kernel kernel = kernel_of("t: .branchtargets a, b;\nbrx.idx %r1, t;\na: exit;\nb: trap;");
  ASSERT_EQ(kernel.branch_tables.size(), 1u);
  EXPECT_EQ(kernel.branch_tables[0], (std::vector<std::uint32_t>{1, 2}));
}

TEST(PtxParser, PlacesVariables) {
  const Result<Module> module =
      parse(module_of("mov.u64 %d1, there;\nmov.u32 %r1, s;\nmov.u32 %r2, dyn;\nret;",
                      ".global .align 4 .b8 here[3] = {1, 2, 3};\n.global .u64 there[2] = {7, generic(here)+1};\n"
                      ".const .f32 half = 0f3F000000;\n.shared .align 8 .b8 unused[64];\n.shared .align 4 .b8 "
                      "s[20];\n.extern .shared .align 16 .b8 dyn[];\n"));
  ASSERT_TRUE(module.ok()) << module.error().message;
  EXPECT_EQ(module->variables[0].initial, (std::vector<std::uint8_t>{1, 2, 3}));
  ASSERT_EQ(module->variables[1].references.size(), 1u);
  EXPECT_EQ(module->variables[1].references[0].offset, 8u);
  EXPECT_EQ(module->variables[1].references[0].addend, 1);
  EXPECT_EQ(module->variables[2].initial[3], 0x3f);
  const Kernel& kernel = module->kernels[0];
  EXPECT_EQ(kernel.static_shared_bytes, 20u);  // what the kernel does not use takes nothing
  EXPECT_EQ(kernel.dynamic_shared_offset, 32u);
  EXPECT_EQ(kernel.constants[kernel.operands[kernel.code[0].first_operand + 1].index].variable, 1);
  EXPECT_EQ(kernel.constants[kernel.operands[kernel.code[2].first_operand + 1].index].value, 32u);
}

const char* const kFunctions =
    ".func (.param .b32 out) twice(.param .b32 in)\n{\n.reg .b32 %a;\nld.param.b32 %a, [in];\nadd.u32 %a, %a, %a;\n"
    "st.param.b32 [out], %a;\nret;\n}\n";

TEST(PtxParser, LinksCalledFunctionsIntoTheKernel) {
  const Kernel kernel = kernel_of(
      "{ .param .b32 a; .param .b32 r; st.param.b32 [a], %r1; call.uni (r), twice, (a); ld.param.b32 %r2, [r]; }\nret;",
      kFunctions);
  EXPECT_EQ(kernel.entry, 4u);
  EXPECT_EQ(kernel.max_call_depth, 1u);
  EXPECT_EQ(kernel.local_bytes, 8u);
  const Instruction& store = kernel.code[4];
  const Instruction& load = kernel.code[0];
  EXPECT_EQ(store.space, Space::kLocal);
  EXPECT_EQ(kernel.operands[store.first_operand].index,
            kernel.operands[load.first_operand + 1].index);  // the same place
  EXPECT_EQ(kernel.code[5].op, Op::kCall);
  EXPECT_EQ(kernel.code[5].target, 0u);
}

TEST(PtxParser, SharesPlacesOfRegistersThatAreNotLiveTogether) {
  std::string chain = "mov.u32 %x0, 1;\n";
  for (int i = 1; i < 100; ++i) chain += "add.u32 %x" + std::to_string(i) + ", %x" + std::to_string(i - 1) + ", 1;\n";
  EXPECT_LE(kernel_of(".reg .b32 %x<100>;\n" + chain + "ret;").register_bytes, 256u);
  // A value that a loop carries keeps its place throughout the loop.
  const Kernel loop = kernel_of(
      "mov.u32 %r1, 0;\nmov.u32 %r2, 5;\nl: add.u32 %r3, %r2, 1;\nadd.u32 %r1, %r1, %r3;\n"
      "setp.lt.u32 %p1, %r1, 9;\n@%p1 bra l;\nst.global.u32 [0], %r1;\nret;");
  const auto place = [&](int instruction, int operand) {
    return loop.operands[loop.code[instruction].first_operand + operand].index;
  };
  EXPECT_NE(place(2, 0), place(2, 1));  // %r3 must not take the place of %r2, which the next turn reads
  EXPECT_NE(place(2, 0), place(0, 0));
}

TEST(PtxParser, NamesTheLineAndTextOfWhatItDoesNotKnow) {
  EXPECT_EQ(fault_of("frobnicate.u32 %r1, %r2;"), "PTX line 11: unknown instruction: frobnicate.u32 %r1, %r2;");
  EXPECT_EQ(fault_of("ret;\nadd.fast.u32 %r1, %r2, %r3;"),
            "PTX line 12: unknown modifier .fast: add.fast.u32 %r1, %r2, %r3;");
  EXPECT_EQ(fault_of(".magic 3;"), "PTX line 11: unknown directive: .magic 3;");
  const std::pair<const char*, const char*> faults[] = {
      {"bra nowhere;", "unknown label"},
      {"add.u32 %r1, %r2, %r9;", "unknown name"},
      {"add.u32 %r1, %d2, 1;", "width"},
      {"add.u32 %r1, %r2;", "wrong number of operands"},
      {"add.f32 %f1, %f2, 1;", "integer constant"},
      {"add.u8 %h1, %h2, %h3;", "not exist"},
      {"cvt.f16.f32.s32 %h1, %f1;", "unknown modifier"},
      {"@%r1 ret;", "guard"},
      {"ld.const.u32 %r1, [missing];", "unknown name"},
      {"st.const.u32 [%d1], %r1;", "cannot be written"},
      {"mma.sync.aligned.m3n8k8.row.col.f32.f16.f16.f32 {%f1}, {%r1}, {%r2}, {%f1};", "not supported"},
      {"wgmma.fence.sync.aligned;", "unknown instruction"},
      {"call missing;", "unknown function"},
      {"l: ret;\nl: ret;", "label defined twice"},
      {"shfl.up.b32 %r1, %r2, 1, 0;", "only .sync"},
      {"mov.u32 %r1, 0xzz;", "malformed number"},
      {"ret", "expected an operand"},
  };
  for (const auto& [body, message] : faults)
    EXPECT_NE(fault_of(body).find(message), std::string::npos) << fault_of(body);
}

TEST(PtxParser, RefusesRecursion) {
  const Result<Module> module =
      parse(".version 8.0\n.target sm_75\n.address_size 64\n.func f()\n{\ncall f;\nret;\n}\n");
  ASSERT_FALSE(module.ok());
  EXPECT_EQ(module.error().kind, ErrorKind::kUnsupported);
}

TEST(PtxTarget, IsCheckedAgainstTheDriverAndTheGpu) {
  const auto header = read_header(".version 9.0\n.target sm_90a\n.address_size 64\nwhatever follows");
  ASSERT_TRUE(header.ok()) << header.error().message;
  EXPECT_EQ(check_target(*header, 90, 80).fault, TargetFault::kNewerVersion);
  EXPECT_EQ(check_target(*header, 90, 90).fault, TargetFault::kNone);
  EXPECT_EQ(check_target(*header, 100, 90).fault, TargetFault::kNewerTarget);  // 90a runs on 9.0 alone
  const auto plain = read_header(".version 8.0\n.target sm_75\n");
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(check_target(*plain, 61, 80).fault, TargetFault::kNewerTarget);
  EXPECT_EQ(check_target(*plain, 120, 80).fault, TargetFault::kNone);
}

// What a real compiler emits, where there is one.
TEST(PtxParser, ReadsWhatNvccEmits) {
  std::string nvcc = "/usr/local/cuda/bin/nvcc";
  if (const char* given = std::getenv("CUDACXX")) nvcc = given;
  if (!std::filesystem::exists(nvcc)) GTEST_SKIP() << "no nvcc";
  const hearth::test::TemporaryFolder folder;
  std::ofstream(folder / "sample.cu") << R"(
    #include <cuda_fp16.h>
    __constant__ float table[4] = {1, 2, 3, 4};
    __device__ int counter = 5;
    __device__ __noinline__ double slow(double x, int* p) { *p += 1; return x * 2 + *p; }
    extern "C" __global__ void sample(float* out, const half2* in, long long* big, int n) {
      extern __shared__ float dynamic[];
      __shared__ float fixed[64];
      int i = threadIdx.x + blockIdx.x * blockDim.x, q = n;
      fixed[i & 63] = expf(out[i]) + sinf(out[i + 1]) + powf(out[i], 3.3f) + table[i & 3];
      __syncthreads();
      double d = slow(fixed[(i * 7) & 63], &q);
      half2 h = __hfma2(in[i], in[i + 1], h2exp(in[i + 2]));
      for (int o = 16; o; o >>= 1) d += __shfl_xor_sync(~0u, (float)d, o);
      dynamic[i] = d / (__low2float(h) + n % 7);
      big[i] = big[i + 1] / big[i + 2] + __popcll(big[i]) + __brevll(big[i]) + __dp4a(n, q, i);
      if (__any_sync(~0u, dynamic[i] > 0)) atomicAdd(&counter, __byte_perm(q, n, i));
      out[i] = dynamic[(i + 1) % n] + atomicAdd(out, 1.0f) + q;
    })";
  for (const char* arch : {"75", "80", "90"}) {
    const std::string output = (folder / (std::string("sample.") + arch)).string();
    const std::string command =
        nvcc + " -arch=compute_" + arch + " -ptx -o " + output + " " + (folder / "sample.cu").string();
    ASSERT_EQ(std::system(command.c_str()), 0);
    std::stringstream text;
    text << std::ifstream(output).rdbuf();
    const Result<Module> module = parse(text.str());
    ASSERT_TRUE(module.ok()) << module.error().message;
    const Kernel* kernel = module->find_kernel("sample");
    ASSERT_NE(kernel, nullptr);
    EXPECT_EQ(kernel->parameter_bytes, 28u);
    EXPECT_EQ(kernel->static_shared_bytes, 256u);
    EXPECT_TRUE(kernel->uses_barriers);
    EXPECT_GE(kernel->max_call_depth, 1u);
    EXPECT_NE(module->find_variable("counter"), nullptr);
  }
}

}  // namespace
}  // namespace hearth::sim::ptx
