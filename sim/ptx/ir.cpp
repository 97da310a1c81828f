#include "sim/ptx/ir.h"

namespace hearth::sim::ptx {
namespace {

struct TypeFacts {
  const char* name;
  int bytes;
};

TypeFacts facts(Type type) {
  switch (type) {
    case Type::kNone:
      return {"none", 0};
    case Type::kPred:
      return {"pred", 0};
    case Type::kB8:
      return {"b8", 1};
    case Type::kB16:
      return {"b16", 2};
    case Type::kB32:
      return {"b32", 4};
    case Type::kB64:
      return {"b64", 8};
    case Type::kB128:
      return {"b128", 16};
    case Type::kU8:
      return {"u8", 1};
    case Type::kU16:
      return {"u16", 2};
    case Type::kU32:
      return {"u32", 4};
    case Type::kU64:
      return {"u64", 8};
    case Type::kS8:
      return {"s8", 1};
    case Type::kS16:
      return {"s16", 2};
    case Type::kS32:
      return {"s32", 4};
    case Type::kS64:
      return {"s64", 8};
    case Type::kF16:
      return {"f16", 2};
    case Type::kF16x2:
      return {"f16x2", 4};
    case Type::kBf16:
      return {"bf16", 2};
    case Type::kBf16x2:
      return {"bf16x2", 4};
    case Type::kTf32:
      return {"tf32", 4};
    case Type::kF32:
      return {"f32", 4};
    case Type::kF64:
      return {"f64", 8};
    case Type::kU16x2:
      return {"u16x2", 4};
    case Type::kS16x2:
      return {"s16x2", 4};
    case Type::kE4m3x2:
      return {"e4m3x2", 2};
    case Type::kE5m2x2:
      return {"e5m2x2", 2};
    case Type::kE4m3:
      return {"e4m3", 1};
    case Type::kE5m2:
      return {"e5m2", 1};
    case Type::kS4:
      return {"s4", 0};
    case Type::kU4:
      return {"u4", 0};
    case Type::kB1:
      return {"b1", 0};
  }
  return {"?", 0};
}

}  // namespace

int bytes_of(Type type) {
  return facts(type).bytes;
}
const char* name_of(Type type) {
  return facts(type).name;
}

std::size_t result_count(const Instruction& instruction) {
  if (instruction.op <= Op::kCvtPack) return 1;
  switch (instruction.op) {
    case Op::kShfl:
    case Op::kMatch:
    case Op::kElect:
      return 2;
    case Op::kVote:
    case Op::kRedux:
    case Op::kActivemask:
    case Op::kAtom:
    case Op::kCvta:
    case Op::kIsspacep:
    case Op::kMbarrierArrive:
    case Op::kMbarrierTest:
      return 1;
    case Op::kLd:
    case Op::kLdmatrix:
      return instruction.vector;
    case Op::kMma:
      return instruction.group[0];
    case Op::kBarrier:
      return instruction.barrier == BarrierMode::kSync || instruction.barrier == BarrierMode::kArrive ? 0 : 1;
    default:
      return 0;
  }
}

const Kernel* Module::find_kernel(const std::string& name) const {
  for (const Kernel& kernel : kernels) {
    if (kernel.name == name) return &kernel;
  }
  return nullptr;
}

const Variable* Module::find_variable(const std::string& name) const {
  for (const Variable& variable : variables) {
    if (variable.name == name) return &variable;
  }
  return nullptr;
}

}  // namespace hearth::sim::ptx
