// Which instruction set, and which of its functions.
#include "sim/exec/lane_ops.h"

#if defined(HEARTH_LANES_AVX2)
#include <cpuid.h>
#endif

#include <atomic>
#include <cstring>

namespace hearth::sim::exec {

// The sources that are compiled once per instruction set (sim/CMakeLists.txt).
#define HEARTH_DECLARE_LANES(isa)                                               \
  namespace isa {                                                               \
  LaneFunction find_integer(const ptx::Instruction&);                           \
  LaneFunction find_bits(const ptx::Instruction&);                              \
  LaneFunction find_float(const ptx::Instruction&);                             \
  LaneFunction find_half(const ptx::Instruction&);                              \
  LaneFunction find_select(const ptx::Instruction&, const ptx::Operand*);       \
  LaneFunction find_convert(const ptx::Instruction&, const ptx::Operand*);      \
  void multiply(const float* a, const float* b, float* d, int m, int n, int k); \
  }
HEARTH_DECLARE_LANES(generic)
#if defined(HEARTH_LANES_AVX2)
HEARTH_DECLARE_LANES(avx2)
#endif

namespace {

struct Isa {
  const char* name;
  LaneFunction (*find_integer)(const ptx::Instruction&);
  LaneFunction (*find_bits)(const ptx::Instruction&);
  LaneFunction (*find_float)(const ptx::Instruction&);
  LaneFunction (*find_half)(const ptx::Instruction&);
  LaneFunction (*find_select)(const ptx::Instruction&, const ptx::Operand*);
  LaneFunction (*find_convert)(const ptx::Instruction&, const ptx::Operand*);
  void (*multiply)(const float*, const float*, float*, int, int, int);
};

#define HEARTH_LANE_ISA_ENTRY(isa)                                                                                 \
  {                                                                                                                \
#isa, isa::find_integer, isa::find_bits, isa::find_float, isa::find_half, isa::find_select, isa::find_convert, \
        isa::multiply                                                                                              \
  }
constexpr Isa kGeneric HEARTH_LANE_ISA_ENTRY(generic);
#if defined(HEARTH_LANES_AVX2)
constexpr Isa kAvx2 HEARTH_LANE_ISA_ENTRY(avx2);
// clang 14's __builtin_cpu_supports() does not know it.
bool has_f16c() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2") && has_f16c();
}
#endif

const Isa* best() {
#if defined(HEARTH_LANES_AVX2)
  if (has_avx2()) return &kAvx2;
#endif
  return &kGeneric;
}

std::atomic<const Isa*>& chosen() {
  static std::atomic<const Isa*> isa{best()};
  return isa;
}

bool is_floating(ptx::Type type) {
  return type == ptx::Type::kF32 || type == ptx::Type::kF64;
}
bool is_half(ptx::Type type) {
  return type == ptx::Type::kF16 || type == ptx::Type::kF16x2 || type == ptx::Type::kBf16 || type == ptx::Type::kBf16x2;
}

}  // namespace

const char* lane_isa() {
  return chosen().load()->name;
}

bool set_lane_isa(const char* name) {
  if (std::strcmp(name, kGeneric.name) == 0) {
    chosen() = &kGeneric;
    return true;
  }
#if defined(HEARTH_LANES_AVX2)
  if (std::strcmp(name, kAvx2.name) == 0 && has_avx2()) {
    chosen() = &kAvx2;
    return true;
  }
#endif
  return false;
}

LaneFunction lane_function(const ptx::Instruction& instruction, const ptx::Operand* operands) {
  using ptx::Op;
  const Isa& isa = *chosen().load(std::memory_order_relaxed);
  switch (instruction.op) {
    case Op::kAdd:
    case Op::kSub:
    case Op::kMul:
    case Op::kMad:
    case Op::kFma:
    case Op::kDiv:
    case Op::kRem:
    case Op::kAbs:
    case Op::kNeg:
    case Op::kMin:
    case Op::kMax:
    case Op::kSad:
    case Op::kMul24:
    case Op::kMad24:
    case Op::kDp4a:
    case Op::kDp2a:
    case Op::kRcp:
    case Op::kSqrt:
    case Op::kRsqrt:
    case Op::kSin:
    case Op::kCos:
    case Op::kLg2:
    case Op::kEx2:
    case Op::kTanh:
    case Op::kCopysign:
    case Op::kTestp:
      if (is_floating(instruction.type)) return isa.find_float(instruction);
      return is_half(instruction.type) ? isa.find_half(instruction) : isa.find_integer(instruction);
    case Op::kPopc:
    case Op::kClz:
    case Op::kBfind:
    case Op::kFns:
    case Op::kBrev:
    case Op::kBfe:
    case Op::kBfi:
    case Op::kBmsk:
    case Op::kSzext:
    case Op::kAnd:
    case Op::kOr:
    case Op::kXor:
    case Op::kNot:
    case Op::kCnot:
    case Op::kLop3:
    case Op::kShl:
    case Op::kShr:
    case Op::kShf:
    case Op::kPrmt:
      return isa.find_bits(instruction);
    case Op::kMov:
      if (operands[1].kind == ptx::Operand::Kind::kSpecial) return nullptr;
      return isa.find_select(instruction, operands);
    case Op::kSetp:
    case Op::kSet:
    case Op::kSelp:
    case Op::kSlct:
    case Op::kPack:
    case Op::kExtract:
      return isa.find_select(instruction, operands);
    case Op::kCvt:
    case Op::kCvtPack:
      return isa.find_convert(instruction, operands);
    default:
      return nullptr;
  }
}

void multiply_matrices(const float* a, const float* b, float* d, int m, int n, int k) {
  chosen().load(std::memory_order_relaxed)->multiply(a, b, d, m, n, k);
}

}  // namespace hearth::sim::exec
