// Integer arithmetic.
#include "sim/exec/lane_ops_map.h"

namespace hearth::sim::exec::HEARTH_LANE_ISA {
namespace {

template <class T>
struct Wider;
template <>
struct Wider<u16> {
  using type = u32;
};
template <>
struct Wider<s16> {
  using type = s32;
};
template <>
struct Wider<u32> {
  using type = u64;
};
template <>
struct Wider<s32> {
  using type = s64;
};
template <>
struct Wider<u64> {
  using type = unsigned __int128;
};
template <>
struct Wider<s64> {
  using type = __int128;
};
template <class T>
using wider_t = typename Wider<T>::type;
template <class T>
constexpr int kBits = static_cast<int>(sizeof(T)) * 8;
template <class T>
using unsigned_t = std::conditional_t<sizeof(T) == 2, u16, std::conditional_t<sizeof(T) == 4, u32, u64>>;

// Wrapping arithmetic is done on at least 32 unsigned bits (16-bit operands would be promoted to int).
template <class T>
using wrap_t = std::conditional_t<sizeof(T) == 8, u64, u32>;
template <class T>
constexpr wrap_t<T> wrap(T value) {
  return static_cast<wrap_t<T>>(value);
}

template <class T>
T clamped(s64 value) {
  return static_cast<T>(value < std::numeric_limits<T>::min()   ? std::numeric_limits<T>::min()
                        : value > std::numeric_limits<T>::max() ? std::numeric_limits<T>::max()
                                                                : value);
}

template <class T>
struct Add {
  T operator()(T a, T b) const { return static_cast<T>(wrap(a) + wrap(b)); }
};
template <class T>
struct Sub {
  T operator()(T a, T b) const { return static_cast<T>(wrap(a) - wrap(b)); }
};
struct AddSaturated {
  s32 operator()(s32 a, s32 b) const { return clamped<s32>(s64{a} + b); }
};
struct SubSaturated {
  s32 operator()(s32 a, s32 b) const { return clamped<s32>(s64{a} - b); }
};
template <class T>
struct MulLow {
  T operator()(T a, T b) const { return static_cast<T>(wrap(a) * wrap(b)); }
};
template <class T>
struct MulHigh {
  T operator()(T a, T b) const {
    return static_cast<T>((static_cast<wider_t<T>>(a) * static_cast<wider_t<T>>(b)) >> kBits<T>);
  }
};
template <class T>
struct MulWide {
  wider_t<T> operator()(T a, T b) const { return static_cast<wider_t<T>>(a) * static_cast<wider_t<T>>(b); }
};
template <class T>
struct MadLow {
  T operator()(T a, T b, T c) const { return static_cast<T>(wrap(a) * wrap(b) + wrap(c)); }
};
template <class T>
struct MadHigh {
  T operator()(T a, T b, T c) const { return Add<T>{}(MulHigh<T>{}(a, b), c); }
};
struct MadHighSaturated {
  s32 operator()(s32 a, s32 b, s32 c) const { return AddSaturated{}(MulHigh<s32>{}(a, b), c); }
};
template <class T>
struct MadWide {
  wider_t<T> operator()(T a, T b, wider_t<T> c) const { return Add<wider_t<T>>{}(MulWide<T>{}(a, b), c); }
};
// Division by zero gives all ones, as the hardware does (PTX leaves it open); the remainder is then the dividend.
template <class T>
struct Div {
  T operator()(T a, T b) const {
    if (b == 0) return static_cast<T>(~wrap(T{0}));
    if (std::numeric_limits<T>::is_signed && b == static_cast<T>(-1)) return static_cast<T>(0 - wrap(a));
    return static_cast<T>(a / b);
  }
};
template <class T>
struct Rem {
  T operator()(T a, T b) const {
    if (b == 0) return a;
    if (std::numeric_limits<T>::is_signed && b == static_cast<T>(-1)) return 0;
    return static_cast<T>(a % b);
  }
};
template <class T>
struct Abs {
  T operator()(T a) const { return static_cast<T>(a < 0 ? 0 - wrap(a) : wrap(a)); }
};
template <class T>
struct Neg {
  T operator()(T a) const { return static_cast<T>(0 - wrap(a)); }
};
template <class T>
struct Min {
  T operator()(T a, T b) const { return a < b ? a : b; }
};
template <class T>
struct Max {
  T operator()(T a, T b) const { return a < b ? b : a; }
};
template <class T>
struct Sad {
  T operator()(T a, T b, T c) const {
    return static_cast<T>(wrap(c) + (a < b ? wrap(b) - wrap(a) : wrap(a) - wrap(b)));
  }
};

// Two 16-bit elements in 32 bits.
template <class T, class F>
struct Packed {
  u32 operator()(u32 a, u32 b) const {
    const T low = F{}(static_cast<T>(a), static_cast<T>(b));
    const T high = F{}(static_cast<T>(a >> 16), static_cast<T>(b >> 16));
    return static_cast<u16>(low) | u32{static_cast<u16>(high)} << 16;
  }
};

template <class T>
T low24(T value) {
  return std::numeric_limits<T>::is_signed ? static_cast<T>(static_cast<s32>(static_cast<u32>(value) << 8) >> 8)
                                           : static_cast<T>(value & 0xffffff);
}
template <class T, bool high>
struct Mul24 {
  T operator()(T a, T b) const {
    const auto product = static_cast<wider_t<T>>(low24(a)) * static_cast<wider_t<T>>(low24(b));
    return static_cast<T>(high ? product >> 16 : product);
  }
};
template <class T, bool high, bool saturate>
struct Mad24 {
  T operator()(T a, T b, T c) const {
    const T product = Mul24<T, high>{}(a, b);
    if constexpr (saturate) return clamped<T>(s64{product} + c);
    return Add<T>{}(product, c);
  }
};

template <class A, class B>
struct Dp4a {
  u32 operator()(u32 a, u32 b, u32 c) const {
    u32 sum = c;
    for (int i = 0; i < 32; i += 8) {
      sum += static_cast<u32>(static_cast<s32>(static_cast<A>(a >> i)) * static_cast<s32>(static_cast<B>(b >> i)));
    }
    return sum;
  }
};
template <class A, class B, int first>
struct Dp2a {
  u32 operator()(u32 a, u32 b, u32 c) const {
    u32 sum = c;
    for (int i = 0; i < 2; ++i) {
      const s32 x = static_cast<A>(a >> (16 * i));
      const s32 y = static_cast<B>(b >> (8 * (first + i)));
      sum += static_cast<u32>(x * y);
    }
    return sum;
  }
};

// add.cc, addc, sub.cc, subc, mad.cc, madc: `carry` is the mask of the lanes' carry (or borrow) bits.
enum class CarryOp { kAdd, kSub, kMadLow, kMadHigh };
template <class T, CarryOp op, bool in, bool out>
void with_carry(void* to, const void* pa, const void* pb, const void* pc, LaneMask active, void* carry) {
  using U = unsigned_t<T>;
  LaneMask* mask = static_cast<LaneMask*>(carry);
  U* d = static_cast<U*>(to);
  LaneMask produced = 0;
  for (LaneMask left = active; left != 0; left &= left - 1) {
    const int i = std::countr_zero(left);
    T a = as<T>(pa)[i];
    T b = as<T>(pb)[i];
    if constexpr (op == CarryOp::kMadLow || op == CarryOp::kMadHigh) {
      a = op == CarryOp::kMadLow ? MulLow<T>{}(a, b) : MulHigh<T>{}(a, b);
      b = as<T>(pc)[i];
    }
    const U extra = in ? *mask >> i & 1 : 0;
    bool carried = false;
    if constexpr (op == CarryOp::kSub) {
      const U difference = static_cast<U>(static_cast<U>(a) - static_cast<U>(b));
      d[i] = static_cast<U>(difference - extra);
      carried = static_cast<U>(a) < static_cast<U>(b) || difference < extra;
    } else {
      const U sum = static_cast<U>(static_cast<U>(a) + static_cast<U>(b));
      d[i] = static_cast<U>(sum + extra);
      carried = sum < static_cast<U>(a) || d[i] < sum;
    }
    if (carried) produced |= LaneMask{1} << i;
  }
  if (out) *mask = (*mask & ~active) | produced;
}

template <class T, CarryOp op>
LaneFunction carry_function(const Instruction& instruction) {
  if (instruction.carry_in)
    return instruction.carry_out ? with_carry<T, op, true, true> : with_carry<T, op, true, false>;
  return with_carry<T, op, false, true>;
}

template <class T>
LaneFunction find_carry(const Instruction& instruction) {
  switch (instruction.op) {
    case Op::kAdd:
      return carry_function<T, CarryOp::kAdd>(instruction);
    case Op::kSub:
      return carry_function<T, CarryOp::kSub>(instruction);
    case Op::kMad:
      if (instruction.half == ptx::Part::kLow) return carry_function<T, CarryOp::kMadLow>(instruction);
      if (instruction.half == ptx::Part::kHigh) return carry_function<T, CarryOp::kMadHigh>(instruction);
      return nullptr;
    default:
      return nullptr;
  }
}

template <class T>
LaneFunction find_product(const Instruction& instruction) {
  const bool mad = instruction.op == Op::kMad;
  constexpr bool is_s32 = std::is_same_v<T, s32>;
  if (instruction.saturate) {
    return is_s32 && mad && instruction.half == ptx::Part::kHigh ? ternary<s32, s32, s32, s32, MadHighSaturated>
                                                                 : nullptr;
  }
  switch (instruction.half) {
    case ptx::Part::kLow:
      return mad ? ternary<T, T, T, T, MadLow<T>> : binary<T, T, T, MulLow<T>>;
    case ptx::Part::kHigh:
      return mad ? ternary<T, T, T, T, MadHigh<T>> : binary<T, T, T, MulHigh<T>>;
    case ptx::Part::kWide:
      if constexpr (sizeof(T) < 8) {
        using W = wider_t<T>;
        return mad ? ternary<W, T, T, W, MadWide<T>> : binary<W, T, T, MulWide<T>>;
      }
      return nullptr;
    default:
      return nullptr;
  }
}

template <class T>
LaneFunction find_24(const Instruction& instruction) {
  const bool high = instruction.half == ptx::Part::kHigh;
  if (instruction.half != ptx::Part::kLow && !high) return nullptr;
  if (instruction.op == Op::kMul24) return high ? binary<T, T, T, Mul24<T, true>> : binary<T, T, T, Mul24<T, false>>;
  if constexpr (std::numeric_limits<T>::is_signed) {
    if (instruction.saturate) return high ? ternary<T, T, T, T, Mad24<T, true, true>> : nullptr;
  } else {
    if (instruction.saturate) return nullptr;
  }
  return high ? ternary<T, T, T, T, Mad24<T, true, false>> : ternary<T, T, T, T, Mad24<T, false, false>>;
}

template <class T>
LaneFunction find_for(const Instruction& instruction) {
  constexpr bool is_signed = std::numeric_limits<T>::is_signed;
  if ((instruction.carry_in || instruction.carry_out)) {
    if constexpr (sizeof(T) >= 4) return instruction.saturate ? nullptr : find_carry<T>(instruction);
    return nullptr;
  }
  switch (instruction.op) {
    case Op::kAdd:
      if (instruction.saturate) return std::is_same_v<T, s32> ? binary<s32, s32, s32, AddSaturated> : nullptr;
      return binary<T, T, T, Add<T>>;
    case Op::kSub:
      if (instruction.saturate) return std::is_same_v<T, s32> ? binary<s32, s32, s32, SubSaturated> : nullptr;
      return binary<T, T, T, Sub<T>>;
    case Op::kMul:
    case Op::kMad:
      return find_product<T>(instruction);
    case Op::kDiv:
      return binary_each<T, T, T, Div<T>>;
    case Op::kRem:
      return binary_each<T, T, T, Rem<T>>;
    case Op::kAbs:
      return is_signed ? unary<T, T, Abs<T>> : nullptr;
    case Op::kNeg:
      return is_signed ? unary<T, T, Neg<T>> : nullptr;
    case Op::kMin:
      return binary<T, T, T, Min<T>>;
    case Op::kMax:
      return binary<T, T, T, Max<T>>;
    case Op::kSad:
      return ternary<T, T, T, T, Sad<T>>;
    case Op::kMul24:
    case Op::kMad24:
      if constexpr (sizeof(T) == 4) return find_24<T>(instruction);
      return nullptr;
    default:
      return nullptr;
  }
}

template <class T>
LaneFunction find_packed(Op op) {
  switch (op) {
    case Op::kAdd:
      return binary<u32, u32, u32, Packed<T, Add<T>>>;
    case Op::kMin:
      return binary<u32, u32, u32, Packed<T, Min<T>>>;
    case Op::kMax:
      return binary<u32, u32, u32, Packed<T, Max<T>>>;
    default:
      return nullptr;
  }
}

LaneFunction find_dot(const Instruction& instruction) {
  const bool a_signed = instruction.type == Type::kS32;
  const bool b_signed = instruction.source == Type::kS32;
  if (!a_signed && instruction.type != Type::kU32) return nullptr;
  if (!b_signed && instruction.source != Type::kU32) return nullptr;
  const auto choose = [&](LaneFunction ss, LaneFunction su, LaneFunction us, LaneFunction uu) {
    return a_signed ? (b_signed ? ss : su) : (b_signed ? us : uu);
  };
  if (instruction.op == Op::kDp4a) {
    return choose(ternary<u32, u32, u32, u32, Dp4a<s8, s8>>, ternary<u32, u32, u32, u32, Dp4a<s8, u8>>,
                  ternary<u32, u32, u32, u32, Dp4a<u8, s8>>, ternary<u32, u32, u32, u32, Dp4a<u8, u8>>);
  }
  if (instruction.half == ptx::Part::kLow) {
    return choose(ternary<u32, u32, u32, u32, Dp2a<s16, s8, 0>>, ternary<u32, u32, u32, u32, Dp2a<s16, u8, 0>>,
                  ternary<u32, u32, u32, u32, Dp2a<u16, s8, 0>>, ternary<u32, u32, u32, u32, Dp2a<u16, u8, 0>>);
  }
  return choose(ternary<u32, u32, u32, u32, Dp2a<s16, s8, 2>>, ternary<u32, u32, u32, u32, Dp2a<s16, u8, 2>>,
                ternary<u32, u32, u32, u32, Dp2a<u16, s8, 2>>, ternary<u32, u32, u32, u32, Dp2a<u16, u8, 2>>);
}

}  // namespace

LaneFunction find_integer(const Instruction& instruction) {
  if (instruction.rounding != ptx::Rounding::kNone || instruction.flush_subnormals || instruction.approximate ||
      instruction.relu || instruction.propagate_nan || instruction.xor_sign) {
    return nullptr;
  }
  if (instruction.op == Op::kDp4a || instruction.op == Op::kDp2a) return find_dot(instruction);
  switch (instruction.type) {
    case Type::kU16:
      return find_for<u16>(instruction);
    case Type::kS16:
      return find_for<s16>(instruction);
    case Type::kU32:
      return find_for<u32>(instruction);
    case Type::kS32:
      return find_for<s32>(instruction);
    case Type::kU64:
      return find_for<u64>(instruction);
    case Type::kS64:
      return find_for<s64>(instruction);
    case Type::kU16x2:
      return instruction.saturate ? nullptr : find_packed<u16>(instruction.op);
    case Type::kS16x2:
      return instruction.saturate ? nullptr : find_packed<s16>(instruction.op);
    default:
      return nullptr;
  }
}

}  // namespace hearth::sim::exec::HEARTH_LANE_ISA
