// f32 and f64 arithmetic. Approximate functions are computed accurately: PTX bounds their error from above.
#include <cfenv>

#include "sim/exec/lane_float.h"

namespace hearth::sim::exec::HEARTH_LANE_ISA {
namespace {

using ptx::Rounding;

// --- round to nearest ---

template <bool ftz, bool sat>
struct Add {
  float operator()(float a, float b) const { return result<ftz, sat>(input<ftz>(a) + input<ftz>(b)); }
};
template <bool ftz, bool sat>
struct Sub {
  float operator()(float a, float b) const { return result<ftz, sat>(input<ftz>(a) - input<ftz>(b)); }
};
template <bool ftz, bool sat>
struct Mul {
  float operator()(float a, float b) const { return result<ftz, sat>(input<ftz>(a) * input<ftz>(b)); }
};
template <bool ftz, bool sat>
struct Fma {
  float operator()(float a, float b, float c) const {
    return result<ftz, sat>(__builtin_fmaf(input<ftz>(a), input<ftz>(b), input<ftz>(c)));
  }
};
template <bool ftz, bool>
struct Div {
  float operator()(float a, float b) const { return result<ftz, false>(input<ftz>(a) / input<ftz>(b)); }
};
template <bool ftz, bool>
struct Rcp {
  float operator()(float a) const { return result<ftz, false>(1.0f / input<ftz>(a)); }
};
template <bool ftz, bool>
struct Sqrt {
  float operator()(float a) const { return result<ftz, false>(__builtin_sqrtf(input<ftz>(a))); }
};
template <bool ftz, bool>
struct Rsqrt {
  float operator()(float a) const {
    return result<ftz, false>(static_cast<float>(1.0 / __builtin_sqrt(static_cast<double>(input<ftz>(a)))));
  }
};
template <bool ftz, bool>
struct Ex2 {
  float operator()(float a) const { return result<ftz, false>(exp2_of(input<ftz>(a))); }
};
template <bool ftz, bool>
struct Lg2 {
  float operator()(float a) const {
    return result<ftz, false>(static_cast<float>(std::log2(static_cast<double>(input<ftz>(a)))));
  }
};
template <bool ftz, bool>
struct Sin {
  float operator()(float a) const {
    return result<ftz, false>(static_cast<float>(std::sin(static_cast<double>(input<ftz>(a)))));
  }
};
template <bool ftz, bool>
struct Cos {
  float operator()(float a) const {
    return result<ftz, false>(static_cast<float>(std::cos(static_cast<double>(input<ftz>(a)))));
  }
};
struct Tanh {
  float operator()(float a) const { return canonical(static_cast<float>(std::tanh(static_cast<double>(a)))); }
};
template <bool ftz, bool propagate>
struct Min {
  float operator()(float a, float b) const { return minimum<propagate>(input<ftz>(a), input<ftz>(b)); }
};
template <bool ftz, bool propagate>
struct Max {
  float operator()(float a, float b) const { return maximum<propagate>(input<ftz>(a), input<ftz>(b)); }
};
template <bool ftz, bool>
struct Abs {
  float operator()(float a) const { return float_of(bits_of(input<ftz>(a)) & ~kSignBit); }
};
template <bool ftz, bool>
struct Neg {
  float operator()(float a) const { return float_of(bits_of(input<ftz>(a)) ^ kSignBit); }
};
struct Copysign {
  u32 operator()(u32 a, u32 b) const { return (a & kSignBit) | (b & ~kSignBit); }
};

template <template <bool, bool> class F>
LaneFunction unary32(bool ftz) {
  return ftz ? unary<float, float, F<true, false>> : unary<float, float, F<false, false>>;
}
template <template <bool, bool> class F>
LaneFunction unary32_each(bool ftz) {
  return ftz ? unary_each<float, float, F<true, false>> : unary_each<float, float, F<false, false>>;
}
template <template <bool, bool> class F>
LaneFunction binary32(bool first, bool second) {
  if (first) return second ? binary<float, float, float, F<true, true>> : binary<float, float, float, F<true, false>>;
  return second ? binary<float, float, float, F<false, true>> : binary<float, float, float, F<false, false>>;
}
template <template <bool, bool> class F>
LaneFunction ternary32(bool ftz, bool sat) {
  using f = float;
  if (ftz) return sat ? ternary<f, f, f, f, F<true, true>> : ternary<f, f, f, f, F<true, false>>;
  return sat ? ternary<f, f, f, f, F<false, true>> : ternary<f, f, f, f, F<false, false>>;
}

// --- directed rounding: the processor's rounding mode, for the duration of one instruction ---

class RoundingMode {
 public:
  explicit RoundingMode(int mode) : before_(std::fegetround()) { std::fesetround(mode); }
  ~RoundingMode() { std::fesetround(before_); }
  RoundingMode(const RoundingMode&) = delete;
  RoundingMode& operator=(const RoundingMode&) = delete;

 private:
  int before_;
};

template <class T, Op op, bool ftz, bool sat>
T directed(T a, T b, T c) {
  if constexpr (ftz) {
    a = flushed(a);
    b = flushed(b);
    c = flushed(c);
  }
  // Volatile: neither computed at compile time nor moved over the change of the rounding mode.
  volatile T x = a;
  volatile T y = b;
  volatile T z = c;
  volatile T r = 0;
  switch (op) {
    case Op::kAdd:
      r = x + y;
      break;
    case Op::kSub:
      r = x - y;
      break;
    case Op::kMul:
      r = x * y;
      break;
    case Op::kDiv:
      r = x / y;
      break;
    case Op::kRcp:
      r = T{1} / x;
      break;
    case Op::kSqrt:
      r = std::sqrt(static_cast<T>(x));
      break;
    default:
      r = std::fma(static_cast<T>(x), static_cast<T>(y), static_cast<T>(z));
      break;
  }
  if constexpr (sizeof(T) == 4) return result<ftz, sat>(r);
  return r;
}

template <class T, Op op, bool ftz, bool sat, int mode>
void directed_lanes(void* to, const void* a, const void* b, const void* c, LaneMask active, void*) {
  const RoundingMode rounding(mode);
  T* d = static_cast<T*>(to);
  for (LaneMask left = active; left != 0; left &= left - 1) {
    const int i = std::countr_zero(left);
    const T x = as<T>(a)[i];
    d[i] = directed<T, op, ftz, sat>(x, b ? as<T>(b)[i] : x, c ? as<T>(c)[i] : x);
  }
}

template <class T, Op op, bool ftz, bool sat>
LaneFunction by_mode(Rounding rounding) {
  switch (rounding) {
    case Rounding::kZero:
      return directed_lanes<T, op, ftz, sat, FE_TOWARDZERO>;
    case Rounding::kDown:
      return directed_lanes<T, op, ftz, sat, FE_DOWNWARD>;
    case Rounding::kUp:
      return directed_lanes<T, op, ftz, sat, FE_UPWARD>;
    default:
      return nullptr;
  }
}

template <Op op>
LaneFunction find_directed(const Instruction& instruction) {
  const Rounding rounding = instruction.rounding;
  if (instruction.type == Type::kF64) {
    if (instruction.flush_subnormals || instruction.saturate) return nullptr;
    return by_mode<double, op, false, false>(rounding);
  }
  if (instruction.flush_subnormals) {
    return instruction.saturate ? by_mode<float, op, true, true>(rounding) : by_mode<float, op, true, false>(rounding);
  }
  return instruction.saturate ? by_mode<float, op, false, true>(rounding) : by_mode<float, op, false, false>(rounding);
}

LaneFunction find_directed(const Instruction& instruction) {
  switch (instruction.op) {
    case Op::kAdd:
      return find_directed<Op::kAdd>(instruction);
    case Op::kSub:
      return find_directed<Op::kSub>(instruction);
    case Op::kMul:
      return find_directed<Op::kMul>(instruction);
    case Op::kDiv:
      return find_directed<Op::kDiv>(instruction);
    case Op::kRcp:
      return find_directed<Op::kRcp>(instruction);
    case Op::kSqrt:
      return find_directed<Op::kSqrt>(instruction);
    case Op::kFma:
      return find_directed<Op::kFma>(instruction);
    default:
      return nullptr;
  }
}

// --- f64 ---

struct Add64 {
  double operator()(double a, double b) const { return a + b; }
};
struct Sub64 {
  double operator()(double a, double b) const { return a - b; }
};
struct Mul64 {
  double operator()(double a, double b) const { return a * b; }
};
struct Div64 {
  double operator()(double a, double b) const { return a / b; }
};
struct Fma64 {
  double operator()(double a, double b, double c) const { return __builtin_fma(a, b, c); }
};
struct Rcp64 {
  double operator()(double a) const { return 1.0 / a; }
};
struct Sqrt64 {
  double operator()(double a) const { return __builtin_sqrt(a); }
};
struct Rsqrt64 {
  double operator()(double a) const { return 1.0 / __builtin_sqrt(a); }
};
inline double flushed(double value) {
  return (bits_of(value) & 0x7ff0000000000000u) == 0 ? std::bit_cast<double>(bits_of(value) & 0x8000000000000000u)
                                                     : value;
}
// .approx.ftz.f64: only the upper 32 bits of the result are given.
template <class F>
struct Coarse64 {
  double operator()(double a) const {
    const double value = flushed(F{}(flushed(a)));
    return value == value ? std::bit_cast<double>(bits_of(value) & 0xffffffff00000000u)
                          : std::bit_cast<double>(u64{0x7fffffff00000000u});
  }
};
struct Min64 {
  double operator()(double a, double b) const {
    if (!(a == a)) return b;
    if (!(b == b)) return a;
    if (a == b) return std::bit_cast<double>(bits_of(a) | bits_of(b));
    return a < b ? a : b;
  }
};
struct Max64 {
  double operator()(double a, double b) const {
    if (!(a == a)) return b;
    if (!(b == b)) return a;
    if (a == b) return std::bit_cast<double>(bits_of(a) & bits_of(b));
    return a < b ? b : a;
  }
};
struct Abs64 {
  u64 operator()(u64 a) const { return a & 0x7fffffffffffffffu; }
};
struct Neg64 {
  u64 operator()(u64 a) const { return a ^ 0x8000000000000000u; }
};
struct Copysign64 {
  u64 operator()(u64 a, u64 b) const { return (a & 0x8000000000000000u) | (b & 0x7fffffffffffffffu); }
};

LaneFunction find_f64(const Instruction& instruction) {
  using d = double;
  const bool coarse = instruction.approximate && instruction.flush_subnormals;
  if (instruction.approximate && instruction.op != Op::kRcp && instruction.op != Op::kRsqrt) return nullptr;
  if ((instruction.flush_subnormals && !coarse) || instruction.saturate || instruction.propagate_nan) return nullptr;
  switch (instruction.op) {
    case Op::kAdd:
      return binary<d, d, d, Add64>;
    case Op::kSub:
      return binary<d, d, d, Sub64>;
    case Op::kMul:
      return binary<d, d, d, Mul64>;
    case Op::kDiv:
      return binary<d, d, d, Div64>;
    case Op::kFma:
      return ternary<d, d, d, d, Fma64>;
    case Op::kRcp:
      return coarse ? unary<d, d, Coarse64<Rcp64>> : unary<d, d, Rcp64>;
    case Op::kSqrt:
      return unary<d, d, Sqrt64>;
    case Op::kRsqrt:
      return coarse ? unary<d, d, Coarse64<Rsqrt64>> : unary<d, d, Rsqrt64>;
    case Op::kMin:
      return binary<d, d, d, Min64>;
    case Op::kMax:
      return binary<d, d, d, Max64>;
    case Op::kAbs:
      return unary<u64, u64, Abs64>;
    case Op::kNeg:
      return unary<u64, u64, Neg64>;
    case Op::kCopysign:
      return binary<u64, u64, u64, Copysign64>;
    default:
      return nullptr;
  }
}

LaneFunction find_f32(const Instruction& instruction) {
  const bool ftz = instruction.flush_subnormals;
  const bool sat = instruction.saturate;
  switch (instruction.op) {
    case Op::kAdd:
      return binary32<Add>(ftz, sat);
    case Op::kSub:
      return binary32<Sub>(ftz, sat);
    case Op::kMul:
      return binary32<Mul>(ftz, sat);
    case Op::kFma:
      return ternary32<Fma>(ftz, sat);
    case Op::kMin:
      return binary32<Min>(ftz, instruction.propagate_nan);
    case Op::kMax:
      return binary32<Max>(ftz, instruction.propagate_nan);
    case Op::kDiv:
      return binary32<Div>(ftz, false);
    case Op::kRcp:
      return unary32<Rcp>(ftz);
    case Op::kSqrt:
      return unary32<Sqrt>(ftz);
    case Op::kRsqrt:
      return unary32<Rsqrt>(ftz);
    case Op::kEx2:
      return unary32<Ex2>(ftz);
    case Op::kLg2:
      return unary32_each<Lg2>(ftz);
    case Op::kSin:
      return unary32_each<Sin>(ftz);
    case Op::kCos:
      return unary32_each<Cos>(ftz);
    case Op::kTanh:
      return unary_each<float, float, Tanh>;
    case Op::kAbs:
      return unary32<Abs>(ftz);
    case Op::kNeg:
      return unary32<Neg>(ftz);
    case Op::kCopysign:
      return binary<u32, u32, u32, Copysign>;
    default:
      return nullptr;
  }
}

// --- testp ---

template <class T, ptx::TestProperty property>
void test_lanes(void* d, const void* a, const void*, const void*, LaneMask active, void*) {
  using ptx::TestProperty;
  LaneMask mask = 0;
  for (int i = 0; i < kWarpSize; ++i) {
    const T value = as<T>(a)[i];
    bool holds = false;
    switch (property) {
      case TestProperty::kFinite:
        holds = std::isfinite(value);
        break;
      case TestProperty::kInfinite:
        holds = std::isinf(value);
        break;
      case TestProperty::kNumber:
        holds = !std::isnan(value);
        break;
      case TestProperty::kNotANumber:
        holds = std::isnan(value);
        break;
      case TestProperty::kNormal:
        holds = std::fpclassify(value) == FP_NORMAL;
        break;
      case TestProperty::kSubnormal:
        holds = std::fpclassify(value) == FP_SUBNORMAL || value == T{0};
        break;
    }
    mask |= LaneMask{holds} << i;
  }
  store_predicate(d, mask, active);
}

template <class T>
LaneFunction find_test(ptx::TestProperty property) {
  using ptx::TestProperty;
  switch (property) {
    case TestProperty::kFinite:
      return test_lanes<T, TestProperty::kFinite>;
    case TestProperty::kInfinite:
      return test_lanes<T, TestProperty::kInfinite>;
    case TestProperty::kNumber:
      return test_lanes<T, TestProperty::kNumber>;
    case TestProperty::kNotANumber:
      return test_lanes<T, TestProperty::kNotANumber>;
    case TestProperty::kNormal:
      return test_lanes<T, TestProperty::kNormal>;
    case TestProperty::kSubnormal:
      return test_lanes<T, TestProperty::kSubnormal>;
  }
  return nullptr;
}

// Functions that exist only approximately; the others need a rounding or nothing.
bool only_approximate(Op op, Type type) {
  switch (op) {
    case Op::kSin:
    case Op::kCos:
    case Op::kLg2:
    case Op::kEx2:
    case Op::kTanh:
    case Op::kRsqrt:
      return true;
    case Op::kRcp:
    case Op::kSqrt:
    case Op::kDiv:
      return false;
    default:
      return type == Type::kNone;
  }
}

}  // namespace

LaneFunction find_float(const Instruction& instruction) {
  if (instruction.relu || instruction.xor_sign || instruction.carry_in || instruction.carry_out ||
      instruction.half != ptx::Part::kNone || instruction.rounding == Rounding::kNearestAway) {
    return nullptr;
  }
  if (instruction.op == Op::kTestp) {
    return instruction.type == Type::kF64 ? find_test<double>(instruction.testp) : find_test<float>(instruction.testp);
  }
  const bool quotient = instruction.op == Op::kRcp || instruction.op == Op::kSqrt || instruction.op == Op::kDiv;
  const bool rounds = instruction.rounding != Rounding::kNone;
  if (only_approximate(instruction.op, instruction.type) ? !instruction.approximate
                                                         : quotient && instruction.approximate == rounds) {
    return nullptr;
  }
  if (rounds && instruction.rounding != Rounding::kNearest) return find_directed(instruction);
  return instruction.type == Type::kF64 ? find_f64(instruction) : find_f32(instruction);
}

}  // namespace hearth::sim::exec::HEARTH_LANE_ISA
