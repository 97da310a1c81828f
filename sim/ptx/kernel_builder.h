// Collects the code of one kernel: instructions, virtual registers, constants, shared and local memory.
#pragma once

#include <map>
#include <span>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "sim/ptx/ir.h"
#include "sim/ptx/syntax.h"

namespace hearth::sim::ptx {

// The widths of a kernel's virtual registers (0: predicate). Until the registers are allocated, an operand's index
// and an instruction's guard are numbers of virtual registers.
using VirtualRegisters = std::vector<std::uint8_t>;

// Gives every virtual register a place in the warp's register frame. Registers that are never live together share a
// place, so that the frame stays in the processor's first-level cache. Sets Kernel::register_bytes.
void allocate_registers(const VirtualRegisters& registers, Kernel& kernel);

class KernelBuilder {
 public:
  explicit KernelBuilder(Kernel& kernel) : kernel_(kernel) {}

  Operand new_register(std::uint8_t bytes);  // 0: a predicate
  Operand constant(std::uint64_t value, std::uint8_t bytes, std::int32_t variable = -1);
  // The address of a .shared variable (plus `addend`), which gets its place when it is first used.
  Operand shared_address(const syntax::Declaration& variable, std::int64_t addend, std::uint8_t bytes);
  std::uint32_t reserve_local(std::uint64_t bytes, std::uint32_t alignment);

  std::uint32_t here() const { return static_cast<std::uint32_t>(kernel_.code.size()); }
  Instruction& emit(Instruction instruction, std::span<const Operand> operands);

  Kernel& kernel() { return kernel_; }
  // What does not fit into a GPU, if anything; checked once at the end.
  Status finish();

 private:
  Kernel& kernel_;
  VirtualRegisters registers_;
  std::map<std::tuple<std::uint64_t, std::uint8_t, std::int32_t>, std::uint32_t> constants_;
  std::unordered_map<const syntax::Declaration*, std::uint64_t> shared_;
  std::vector<std::uint32_t> dynamic_shared_;  // constants that get dynamic_shared_offset added
  std::uint64_t shared_bytes_ = 0, dynamic_alignment_ = 16, local_bytes_ = 0;
};

}  // namespace hearth::sim::ptx
