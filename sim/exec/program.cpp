#include "sim/exec/program.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace hearth::sim::exec {
namespace {

using ptx::Op;
using ptx::Operand;
using ptx::Space;

Kind kind_of(const ptx::Instruction& instruction, const Operand* operands) {
  if (instruction.op == Op::kMov && operands[1].kind == Operand::Kind::kSpecial) return Kind::kSpecial;
  if (instruction.op <= Op::kCvtPack) return Kind::kLane;
  switch (instruction.op) {
    case Op::kShfl:
    case Op::kVote:
    case Op::kMatch:
    case Op::kRedux:
    case Op::kElect:
    case Op::kWarpSync:
      return Kind::kSynced;
    case Op::kActivemask:
      return Kind::kActivemask;
    case Op::kLd:
      return Kind::kLoad;
    case Op::kSt:
      return Kind::kStore;
    case Op::kAtom:
      return Kind::kAtom;
    case Op::kCvta:
      return Kind::kCvta;
    case Op::kIsspacep:
      return Kind::kIsspacep;
    case Op::kLdmatrix:
    case Op::kStmatrix:
    case Op::kMma:
      return Kind::kAligned;
    case Op::kCpAsync:
      return Kind::kCpAsync;
    case Op::kCpAsyncCommit:
      return Kind::kCpAsyncCommit;
    case Op::kCpAsyncWaitGroup:
    case Op::kCpAsyncWaitAll:
      return Kind::kCpAsyncWait;
    case Op::kMbarrierInit:
    case Op::kMbarrierArrive:
    case Op::kMbarrierTest:
    case Op::kMbarrierInval:
    case Op::kCpAsyncMbarrier:
      return Kind::kMbarrier;
    case Op::kFence:
      return Kind::kNothing;
    case Op::kBranch:
      return Kind::kBranch;
    case Op::kBranchIndexed:
      return Kind::kBranchIndexed;
    case Op::kCall:
      return Kind::kCall;
    case Op::kRet:
      return Kind::kRet;
    case Op::kExit:
      return Kind::kExit;
    case Op::kTrap:
      return Kind::kTrap;
    case Op::kBarrier:
      return Kind::kBarrier;
    case Op::kNanosleep:
      return Kind::kYield;
    default:
      break;
  }
  CHECK(false);  // kSpecialCount is no instruction
  return Kind::kNothing;
}

// Which operand is the base of the address.
std::size_t address_operand(const ptx::Instruction& instruction) {
  switch (instruction.op) {
    case Op::kLd:
    case Op::kLdmatrix:
      return instruction.vector;
    case Op::kAtom:
    case Op::kMbarrierArrive:
    case Op::kMbarrierTest:
      return 1;
    default:
      return 0;
  }
}

// Which operand is the member mask.
std::size_t member_operand(const ptx::Instruction& instruction) {
  return instruction.operand_count - std::size_t{1};
}

}  // namespace

// The frame of a warp, in registers of 32 bits, is about what ptxas needs, which keeps a few for itself.
FunctionAttributes attributes(const ptx::Module& module, const ptx::Kernel& kernel) {
  FunctionAttributes out;
  const int frame = static_cast<int>(kernel.register_bytes / (4 * ptx::kWarpSize));
  out.registers = std::clamp((frame + 2 + 7) / 8 * 8, 8, 255);
  const auto& most = kernel.max_threads;
  const std::uint64_t given = std::uint64_t{most[0]} * std::max(most[1], 1u) * std::max(most[2], 1u);
  out.max_threads = given > 0 ? static_cast<int>(std::min<std::uint64_t>(given, 1024))
                              : std::min(1024, 65536 / out.registers / 32 * 32);
  out.static_shared_bytes = static_cast<int>(kernel.static_shared_bytes);
  out.local_bytes = static_cast<int>(kernel.local_bytes);
  for (const ptx::Variable& variable : module.variables) {
    if (variable.space == Space::kConst) out.constant_bytes += static_cast<int>(variable.bytes);
  }
  out.parameter_bytes = static_cast<int>(kernel.parameter_bytes);
  out.ptx_version = module.target;
  return out;
}

Result<std::vector<Address>> place_variables(const ptx::Module& module, GlobalMemory& memory, DeviceMask devices) {
  std::vector<Address> addresses;
  for (const ptx::Variable& variable : module.variables) {
    if (variable.bytes == 0) {
      addresses.push_back(0);
      continue;
    }
    auto placed = memory.allocate(variable.bytes, std::max<std::uint64_t>(variable.alignment, 16), devices,
                                  "variable " + variable.name);
    if (!placed) {
      free_variables(addresses, memory);
      return std::move(placed).error();
    }
    addresses.push_back(*placed);
  }
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const ptx::Variable& variable = module.variables[i];
    if (addresses[i] == 0) continue;
    memory.write(addresses[i], std::as_bytes(std::span(variable.initial)));
    memory.mark_written(addresses[i], variable.bytes);  // the rest is zero
    for (const auto& reference : variable.references) {
      const std::uint64_t pointer = addresses[reference.variable] + static_cast<std::uint64_t>(reference.addend);
      memory.write(addresses[i] + reference.offset, std::as_bytes(std::span(&pointer, 1)));
    }
    if (variable.space == Space::kConst) CHECK(memory.set_access(addresses[i], variable.bytes, devices, 0).ok());
  }
  return addresses;
}

void free_variables(const std::vector<Address>& addresses, GlobalMemory& memory) {
  for (const Address address : addresses) {
    if (address != 0) CHECK(memory.free(address).ok());
  }
}

Program::Program(const ptx::Module& module, const ptx::Kernel& source, std::span<const Address> variables)
    : kernel(source), attributes(exec::attributes(module, source)) {
  place_constants(variables);
  for (const ptx::MmaShape& shape : kernel.mma_shapes) mma.push_back(mma_function(shape));
  moves.resize(kernel.operands.size());
  steps.reserve(kernel.code.size());
  for (const ptx::Instruction& instruction : kernel.code) steps.push_back(decode(instruction));
  // Whoever runs off the end of the code returns.
  Step end;
  end.kind = Kind::kRet;
  end.instruction = &kernel.code.back();
  steps.push_back(end);
}

void Program::place_constants(std::span<const Address> variables) {
  std::vector<std::uint32_t> offsets;
  std::uint32_t total = 0;
  for (const ptx::Constant& constant : kernel.constants) {
    offsets.push_back(total);
    total += constant.bytes * std::uint32_t{ptx::kWarpSize};
  }
  constants_ = std::make_unique<Line[]>(total / sizeof(Line) + 1);
  for (std::size_t i = 0; i < kernel.constants.size(); ++i) {
    const ptx::Constant& constant = kernel.constants[i];
    std::uint64_t value = constant.value;
    if (constant.variable >= 0) value += variables[static_cast<std::size_t>(constant.variable)];
    for (std::uint32_t lane = 0; lane < ptx::kWarpSize; ++lane) {
      std::memcpy(constants() + offsets[i] + lane * constant.bytes, &value, constant.bytes);
    }
  }
  for (const Operand& operand : kernel.operands) {
    Ref ref;
    if (operand.kind == Operand::Kind::kRegister || operand.kind == Operand::Kind::kPredicate) {
      CHECK(operand.index < kernel.register_bytes);
      ref.bits = operand.index << 2 | Ref::kFrame;
    } else if (operand.kind == Operand::Kind::kConstant) {
      ref.bits = offsets[operand.index] << 2 | Ref::kConstant;
    }
    refs.push_back(ref);
  }
}

Step Program::decode(const ptx::Instruction& instruction) {
  const Operand* operands = kernel.operands.data() + instruction.first_operand;
  const auto at = [&](std::size_t i) {
    return i < instruction.operand_count ? refs[instruction.first_operand + i] : Ref{};
  };
  Step step;
  step.kind = kind_of(instruction, operands);
  step.guarded = instruction.guarded;
  step.guard_negated = instruction.guard_negated;
  step.guard = instruction.guard;
  step.target = instruction.target;
  step.first = instruction.first_operand;
  step.instruction = &instruction;
  switch (step.kind) {
    case Kind::kLane:
      step.function = lane_function(instruction, operands);
      CHECK(step.function != nullptr);  // parse() accepts only what there is a function for
      step.d = at(0);
      step.a = at(1);
      step.b = at(2);
      step.c = at(3);
      step.e = at(4);
      return step;
    case Kind::kSynced:
      step.e = at(member_operand(instruction));
      return step;
    case Kind::kLoad:
    case Kind::kStore:
    case Kind::kAtom:
    case Kind::kMbarrier:
    case Kind::kCpAsync:
      break;
    case Kind::kAligned:
      if (instruction.op != Op::kMma) break;
      return step;
    default:
      return step;
  }
  const std::size_t base = address_operand(instruction);
  step.a = at(base);
  step.address_bytes = operands[base].bytes;
  step.displacement = instruction.displacement;
  step.bytes = static_cast<std::uint32_t>(ptx::bytes_of(instruction.type)) * instruction.vector;
  if (instruction.op == Op::kLdmatrix || instruction.op == Op::kStmatrix) step.bytes = 16;
  if (step.kind == Kind::kCpAsync) step.bytes = instruction.bytes;
  if (step.kind == Kind::kMbarrier) step.bytes = 8;
  if (step.kind == Kind::kLoad || step.kind == Kind::kStore) {
    const std::size_t first = step.kind == Kind::kLoad ? 0 : 1;
    for (std::size_t i = first; i < first + instruction.vector; ++i) {
      if (operands[i].kind == Operand::Kind::kNone) continue;
      moves[step.first + i] = step.kind == Kind::kLoad ? load_function(instruction.type, operands[i].bytes)
                                                       : store_function(instruction.type, operands[i].bytes);
    }
  }
  return step;
}

std::shared_ptr<const Program> prepare(const ptx::Module& module, const ptx::Kernel& kernel,
                                       std::span<const Address> variables) {
  CHECK(variables.size() == module.variables.size());
  return std::make_shared<const Program>(module, kernel, variables);
}

const FunctionAttributes& attributes(const Program& program) {
  return program.attributes;
}

const ptx::Kernel& kernel_of(const Program& program) {
  return program.kernel;
}

}  // namespace hearth::sim::exec
