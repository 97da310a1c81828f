// Instructions on matrix fragments, which all lanes of a warp execute together: ldmatrix, stmatrix, mma.
#include "sim/exec/interpreter.h"

namespace hearth::sim::exec {

using ptx::Op;

bool Interpreter::matrix(Warp& warp, const Step& step) {
  if (step.instruction->op != Op::kMma) return move_matrices(warp, step);
  multiply(warp, step);
  return true;
}

// Lanes 8i to 8i + 7 hold the addresses of the rows of matrix i.
bool Interpreter::move_matrices(Warp& warp, const Step& step) {
  const ptx::Instruction& instruction = *step.instruction;
  const bool loads = instruction.op == Op::kLdmatrix;
  const LaneMask rows_lanes = instruction.vector == 4 ? kAllLanes : (LaneMask{1} << (8 * instruction.vector)) - 1;
  Access access;
  access.bytes = 16;
  access.write = !loads;
  addresses(warp, step.a, step.address_bytes, step.displacement, rows_lanes, access);
  const auto use = [&](LaneMask lanes) {
    if (lanes != rows_lanes || access.space != ptx::Space::kShared) {
      return fail(FaultKind::kIllegalAddress, warp, std::countr_zero(lanes), access,
                  "the rows of matrices lie in shared memory");
    }
    if (races_ && !check_races(warp, lanes, access, /*atomic=*/false)) return false;
    for (std::size_t i = 0; i < instruction.vector; ++i) {
      std::byte rows[8][16];
      std::byte* const* at = access.at + 8 * i;
      auto* reg = reinterpret_cast<std::uint32_t*>(operand(warp, step, loads ? i : i + 1));
      if (loads) {
        for (std::size_t row = 0; row < 8; ++row) std::memcpy(rows[row], at[row], 16);
        distribute_matrix(rows, instruction.transpose, reg);
      } else {
        collect_matrix(reg, instruction.transpose, rows);
        for (std::size_t row = 0; row < 8; ++row) std::memcpy(at[row], rows[row], 16);
      }
    }
    return true;
  };
  return each_access(warp, instruction.space, rows_lanes, access, use);
}

void Interpreter::multiply(Warp& warp, const Step& step) {
  const ptx::Instruction& instruction = *step.instruction;
  void* pointers[64];
  std::size_t first[4];
  std::size_t count = 0;
  for (std::size_t g = 0; g < 4; ++g) {
    first[g] = count;
    for (std::size_t i = 0; i < instruction.group[g]; ++i, ++count) pointers[count] = operand(warp, step, count);
  }
  program_.mma[instruction.mma](program_.kernel.mma_shapes[instruction.mma], pointers + first[0], pointers + first[1],
                                pointers + first[2], pointers + first[3]);
}

}  // namespace hearth::sim::exec
