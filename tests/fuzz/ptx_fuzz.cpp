// Any text is parsed as PTX or refused; a module that is accepted has only operands that exist.
#include <cstdlib>
#include <string_view>

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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto module = ptx::parse({reinterpret_cast<const char*>(data), size});
  if (module) {
    for (const ptx::Kernel& kernel : module->kernels) check(kernel);
  }
  return 0;
}
