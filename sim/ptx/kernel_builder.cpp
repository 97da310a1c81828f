#include "sim/ptx/kernel_builder.h"

#include <algorithm>

#include "base/error.h"

namespace hearth::sim::ptx {
namespace {

constexpr std::uint64_t kMaxSharedBytes = 227 * 1024;  // of any architecture
constexpr std::uint64_t kMaxLocalBytes = 512 * 1024;   // per thread, of every architecture
constexpr std::uint64_t kLimit = std::uint64_t{1} << 40;

std::uint64_t aligned(std::uint64_t value, std::uint64_t alignment) {
  return (value + alignment - 1) & ~(alignment - 1);
}

}  // namespace

Operand KernelBuilder::new_register(std::uint8_t bytes) {
  registers_.push_back(bytes);
  const auto kind = bytes == 0 ? Operand::Kind::kPredicate : Operand::Kind::kRegister;
  return Operand{kind, bytes, static_cast<std::uint32_t>(registers_.size() - 1)};
}

Operand KernelBuilder::constant(std::uint64_t value, std::uint8_t bytes, std::int32_t variable) {
  if (bytes < 8) value &= (std::uint64_t{1} << (8 * bytes)) - 1;
  const auto next = static_cast<std::uint32_t>(kernel_.constants.size());
  const auto [at, is_new] = constants_.emplace(std::tuple{value, bytes, variable}, next);
  if (is_new) kernel_.constants.push_back(Constant{value, variable, bytes});
  return Operand{Operand::Kind::kConstant, bytes, at->second};
}

Operand KernelBuilder::shared_address(const syntax::Declaration& variable, std::int64_t addend, std::uint8_t bytes) {
  if (variable.unsized) {
    dynamic_alignment_ = std::max<std::uint64_t>(dynamic_alignment_, variable.alignment);
    dynamic_shared_.push_back(static_cast<std::uint32_t>(kernel_.constants.size()));
    kernel_.constants.push_back(Constant{static_cast<std::uint64_t>(addend), -1, bytes});
    return Operand{Operand::Kind::kConstant, bytes, dynamic_shared_.back()};
  }
  const auto [at, is_new] = shared_.emplace(&variable, 0);
  if (is_new) {
    at->second = aligned(shared_bytes_, variable.alignment);
    shared_bytes_ = at->second + variable.elements * static_cast<std::uint64_t>(bytes_of(variable.type));
    shared_bytes_ = std::min(shared_bytes_, kLimit);
  }
  return constant(at->second + static_cast<std::uint64_t>(addend), bytes);
}

std::uint32_t KernelBuilder::reserve_local(std::uint64_t bytes, std::uint32_t alignment) {
  const std::uint64_t offset = aligned(local_bytes_, alignment);
  local_bytes_ = std::min(offset + bytes, kLimit);
  return static_cast<std::uint32_t>(offset);
}

Instruction& KernelBuilder::emit(Instruction instruction, std::span<const Operand> operands) {
  instruction.first_operand = static_cast<std::uint32_t>(kernel_.operands.size());
  instruction.operand_count = static_cast<std::uint8_t>(operands.size());
  kernel_.operands.insert(kernel_.operands.end(), operands.begin(), operands.end());
  kernel_.code.push_back(instruction);
  return kernel_.code.back();
}

Status KernelBuilder::finish() {
  const std::uint64_t dynamic_offset = aligned(shared_bytes_, dynamic_alignment_);
  if (dynamic_offset > kMaxSharedBytes) {
    return error(ErrorKind::kInvalidData, "PTX kernel {}: {} bytes of shared memory; no GPU has more than {} per block",
                 kernel_.name, shared_bytes_, kMaxSharedBytes);
  }
  if (local_bytes_ > kMaxLocalBytes) {
    return error(ErrorKind::kInvalidData, "PTX kernel {}: {} bytes of local memory per thread; the limit is {}",
                 kernel_.name, local_bytes_, kMaxLocalBytes);
  }
  for (const std::uint32_t index : dynamic_shared_) kernel_.constants[index].value += dynamic_offset;
  kernel_.static_shared_bytes = static_cast<std::uint32_t>(shared_bytes_);
  kernel_.dynamic_shared_offset = static_cast<std::uint32_t>(dynamic_offset);
  kernel_.local_bytes = static_cast<std::uint32_t>(local_bytes_);
  kernel_.virtual_registers = static_cast<std::uint32_t>(registers_.size());
  allocate_registers(registers_, kernel_);
  return {};
}

}  // namespace hearth::sim::ptx
