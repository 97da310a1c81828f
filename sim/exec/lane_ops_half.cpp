// f16 and bf16 arithmetic, scalar and packed: computed in float (or double) and rounded once.
#include "sim/exec/lane_float.h"

namespace hearth::sim::exec::HEARTH_LANE_ISA {
namespace {

// a + error, the exact result of an operation that was rounded to `rounded`, brought to odd: truncated, with the last
// bit set when anything was cut off. Rounding that to a format of at least two bits less gives the exact result's
// rounding (Boldo and Melquiond, "Emulation of a FMA and correctly rounded sums", 2008).
inline float to_odd(float rounded, float error) {
  const bool inexact = error > 0 || error < 0;
  const bool too_large = (error > 0) != (rounded > 0);  // in magnitude
  const u32 bits = bits_of(rounded) - (inexact && too_large ? 1 : 0);
  return float_of(inexact ? bits | 1 : bits);
}
inline double to_odd(double rounded, double error) {
  const bool inexact = error > 0 || error < 0;
  const bool too_large = (error > 0) != (rounded > 0);
  const u64 bits = bits_of(rounded) - (inexact && too_large ? 1 : 0);
  return std::bit_cast<double>(inexact ? bits | 1 : bits);
}
inline float to_odd_float(double value) {
  const auto rounded = static_cast<float>(value);
  const double wide = rounded;
  const bool inexact = wide < value || wide > value;
  const bool too_large = inexact && (wide > value) == (value > 0);
  const u32 bits = bits_of(rounded) - (too_large ? 1 : 0);
  return float_of(inexact ? bits | 1 : bits);
}

// The rounding error of a sum (Knuth).
template <class T>
inline T sum_error(T a, T b, T sum) {
  const T b_part = sum - a;
  const T a_part = sum - b_part;
  return (a - a_part) + (b - b_part);
}

struct Add {
  template <class Format>
  static float apply(float a, float b, float) {
    return a + b;  // 24 bits are more than twice 11: rounding twice does no harm
  }
};
struct Sub {
  template <class Format>
  static float apply(float a, float b, float) {
    return a - b;
  }
};
struct Mul {
  template <class Format>
  static float apply(float a, float b, float) {
    if (std::is_same_v<Format, Half>) return a * b;                        // exact
    return to_odd_float(static_cast<double>(a) * static_cast<double>(b));  // may be subnormal in float
  }
};
struct Fma {
  template <class Format>
  static float apply(float a, float b, float c) {
    if (std::is_same_v<Format, Half>) {
      const float product = a * b;  // exact
      const float sum = product + c;
      return to_odd(sum, sum_error(product, c, sum));
    }
    const double product = static_cast<double>(a) * static_cast<double>(b);
    const double addend = c;
    const double sum = product + addend;
    return to_odd_float(to_odd(sum, sum_error(product, addend, sum)));
  }
};
template <bool propagate>
struct Min {
  template <class Format>
  static float apply(float a, float b, float) {
    return minimum<propagate>(a, b);
  }
};
template <bool propagate>
struct Max {
  template <class Format>
  static float apply(float a, float b, float) {
    return maximum<propagate>(a, b);
  }
};
struct Ex2 {
  template <class Format>
  static float apply(float a, float, float) {
    return exp2_of(a);
  }
};
struct Tanh {
  template <class Format>
  static float apply(float a, float, float) {
    return static_cast<float>(std::tanh(static_cast<double>(a)));
  }
};

enum class Finish { kPlain, kSaturate, kRelu };

template <class Format>
u16 flush_bits(u16 bits) {
  return (bits & Format::kExponent) == 0 ? static_cast<u16>(bits & 0x8000) : bits;
}

// `count` is 32 for scalars in 16-bit registers and 64 for pairs in 32-bit registers.
template <class Format, int count, int sources, class F, bool ftz, Finish finish>
void half_lanes(void* to, const void* pa, const void* pb, const void* pc, LaneMask active, void*) {
  alignas(64) float values[3][count] = {};
  const void* from[3] = {pa, pb, pc};
  for (int s = 0; s < sources; ++s) {
    if (ftz) {
      alignas(64) u16 plain[count];
      for (int i = 0; i < count; ++i) plain[i] = flush_bits<Format>(as<u16>(from[s])[i]);
      widen<Format, count>(plain, values[s]);
    } else {
      widen<Format, count>(as<u16>(from[s]), values[s]);
    }
  }
  alignas(64) float results[count];
  HEARTH_LANES_INDEPENDENT
  for (int i = 0; i < count; ++i) {
    float r = F::template apply<Format>(values[0][i], values[1][i], values[2][i]);
    if (finish == Finish::kSaturate) r = saturated(r);
    if (finish == Finish::kRelu) r = r < 0.0f ? 0.0f : r;
    results[i] = r;
  }
  alignas(64) u16 narrowed[count];
  narrow<Format, count>(results, narrowed);
  if (ftz) {
    for (int i = 0; i < count; ++i) narrowed[i] = flush_bits<Format>(narrowed[i]);
  }
  if (active == kAllLanes) {
    std::memcpy(to, narrowed, sizeof(narrowed));
  } else if constexpr (count == kWarpSize) {
    store_active(to, narrowed, active);
  } else {
    alignas(64) u32 pairs[kWarpSize];
    std::memcpy(pairs, narrowed, sizeof(pairs));
    store_active(to, pairs, active);
  }
}

template <class Format, int count, int sources, class F>
LaneFunction find_variant(const Instruction& instruction) {
  const bool ftz = instruction.flush_subnormals;
  if (instruction.saturate && instruction.relu) return nullptr;
  if (instruction.saturate) {
    return ftz ? half_lanes<Format, count, sources, F, true, Finish::kSaturate>
               : half_lanes<Format, count, sources, F, false, Finish::kSaturate>;
  }
  if (instruction.relu) {
    return ftz ? half_lanes<Format, count, sources, F, true, Finish::kRelu>
               : half_lanes<Format, count, sources, F, false, Finish::kRelu>;
  }
  return ftz ? half_lanes<Format, count, sources, F, true, Finish::kPlain>
             : half_lanes<Format, count, sources, F, false, Finish::kPlain>;
}
template <class Format, int count, int sources, class F>
LaneFunction find_plain(const Instruction& instruction) {
  if (instruction.saturate || instruction.relu) return nullptr;
  return instruction.flush_subnormals ? half_lanes<Format, count, sources, F, true, Finish::kPlain>
                                      : half_lanes<Format, count, sources, F, false, Finish::kPlain>;
}

struct AbsBits {
  template <class T>
  static T apply(T a) {
    return static_cast<T>(a & static_cast<T>(0x7fff7fffu));
  }
};
struct NegBits {
  template <class T>
  static T apply(T a) {
    return static_cast<T>(a ^ static_cast<T>(0x80008000u));
  }
};
template <class T, class Format, class F, bool ftz>
struct SignOnly {
  T operator()(T a) const {
    if (ftz) {
      const u16 low = flush_bits<Format>(static_cast<u16>(a));
      const u16 high = sizeof(T) == 4 ? flush_bits<Format>(static_cast<u16>(a >> (sizeof(T) * 4 & 16))) : u16{0};
      a = static_cast<T>(low | u32{high} << 16);
    }
    return F::apply(a);
  }
};
template <class T, class Format, class F>
LaneFunction find_sign(bool ftz) {
  return ftz ? unary<T, T, SignOnly<T, Format, F, true>> : unary<T, T, SignOnly<T, Format, F, false>>;
}

template <class Format, int count>
LaneFunction find_for(const Instruction& instruction) {
  using Bits = std::conditional_t<count == kWarpSize, u16, u32>;
  switch (instruction.op) {
    case Op::kAdd:
      return find_variant<Format, count, 2, Add>(instruction);
    case Op::kSub:
      return find_variant<Format, count, 2, Sub>(instruction);
    case Op::kMul:
      return find_variant<Format, count, 2, Mul>(instruction);
    case Op::kFma:
      return find_variant<Format, count, 3, Fma>(instruction);
    case Op::kMin:
      return instruction.propagate_nan ? find_plain<Format, count, 2, Min<true>>(instruction)
                                       : find_plain<Format, count, 2, Min<false>>(instruction);
    case Op::kMax:
      return instruction.propagate_nan ? find_plain<Format, count, 2, Max<true>>(instruction)
                                       : find_plain<Format, count, 2, Max<false>>(instruction);
    case Op::kEx2:
      return instruction.approximate ? find_plain<Format, count, 1, Ex2>(instruction) : nullptr;
    case Op::kTanh:
      return instruction.approximate ? find_plain<Format, count, 1, Tanh>(instruction) : nullptr;
    case Op::kAbs:
      return find_sign<Bits, Format, AbsBits>(instruction.flush_subnormals);
    case Op::kNeg:
      return find_sign<Bits, Format, NegBits>(instruction.flush_subnormals);
    default:
      return nullptr;
  }
}

}  // namespace

LaneFunction find_half(const Instruction& instruction) {
  const bool nearest = instruction.rounding == ptx::Rounding::kNone || instruction.rounding == ptx::Rounding::kNearest;
  if (!nearest || instruction.xor_sign || instruction.carry_in || instruction.carry_out ||
      instruction.half != ptx::Part::kNone) {
    return nullptr;
  }
  switch (instruction.type) {
    case Type::kF16:
      return find_for<Half, 32>(instruction);
    case Type::kF16x2:
      return find_for<Half, 64>(instruction);
    case Type::kBf16:
      return find_for<Bfloat, 32>(instruction);
    case Type::kBf16x2:
      return find_for<Bfloat, 64>(instruction);
    default:
      return nullptr;
  }
}

}  // namespace hearth::sim::exec::HEARTH_LANE_ISA
