// cvt. The conversions that kernels are full of have loops of their own; the rest goes through 64-bit integers or
// doubles, which hold every source exactly.
#include <array>
#include <cfenv>
#include <utility>

#include "sim/exec/lane_float.h"
#include "sim/exec/lane_float8.h"

namespace hearth::sim::exec::HEARTH_LANE_ISA {
namespace {

using ptx::Rounding;

// --- sources: every lane as s64 (u64 keeps its bits) or double. Neither these nor the stores are inlined: their
// combinations are many. ---

using LoadIntegers = void (*)(const void*, s64*);
using LoadFloats = void (*)(const void*, double*);

template <class Register, class T>
[[gnu::noinline]] void load_integers(const void* from, s64* to) {
  for (int i = 0; i < kWarpSize; ++i) to[i] = static_cast<s64>(static_cast<T>(as<Register>(from)[i]));
}
template <bool ftz>
[[gnu::noinline]] void load_f32(const void* from, double* to) {
  for (int i = 0; i < kWarpSize; ++i) to[i] = static_cast<double>(input<ftz>(as<float>(from)[i]));
}
[[gnu::noinline]] void load_f64(const void* from, double* to) {
  std::memcpy(to, from, sizeof(double) * kWarpSize);
}
template <class Format>
[[gnu::noinline]] void load_half(const void* from, double* to) {
  for (int i = 0; i < kWarpSize; ++i) to[i] = static_cast<double>(Format::widen(as<u16>(from)[i]));
}

// --- rounding of doubles ---

template <Rounding rounding>
double to_integral(double value) {
  switch (rounding) {
    case Rounding::kZero:
      return __builtin_trunc(value);
    case Rounding::kDown:
      return __builtin_floor(value);
    case Rounding::kUp:
      return __builtin_ceil(value);
    default:
      return __builtin_nearbyint(value);  // the processor's mode is to nearest, ties to even
  }
}

// A number of `fraction_bits` bits of fraction and the least exponent of f16, bf16, f32, from the exact value in
// double. Works on the magnitude's bits: cuts off, and looks at what was cut.
template <int fraction_bits, int exponent_bits, Rounding rounding>
u32 narrow_bits(double value) {
  constexpr int kBias = (1 << (exponent_bits - 1)) - 1;
  constexpr u32 kInfinity = ((1u << exponent_bits) - 1) << fraction_bits;
  const u64 bits = bits_of(value);
  const bool negative = bits >> 63;
  const u32 sign = static_cast<u32>(negative) << (fraction_bits + exponent_bits);
  if (value != value) return fraction_bits == 23 ? kCanonicalNan : kCanonicalHalfNan;
  const u64 magnitude = bits & 0x7fffffffffffffffu;
  if (magnitude == 0x7ff0000000000000u) return sign | kInfinity;
  const int exponent = static_cast<int>(magnitude >> 52) - 1023;  // zero and subnormal doubles: far below all
  u64 significand = (magnitude & 0xfffffffffffffu) | (u64{1} << 52);
  if (magnitude >> 52 == 0) significand = magnitude != 0 ? 1 : 0;
  // The last bit that is kept is worth 2^(exponent - fraction_bits), but not less than the least subnormal.
  const int least = 1 - kBias;
  const int cut = 52 - fraction_bits + (exponent < least ? least - exponent : 0);
  const u64 kept = cut < 64 ? significand >> cut : 0;
  const bool exact = significand == 0 || (cut < 64 && (kept << cut) == significand);
  const u64 rest = cut < 64 ? significand - (kept << cut) : significand;
  const u64 half = cut < 64 ? u64{1} << (cut - 1) : ~u64{0};
  bool up = false;
  switch (rounding) {
    case Rounding::kZero:
      break;
    case Rounding::kDown:
      up = negative && !exact;
      break;
    case Rounding::kUp:
      up = !negative && !exact;
      break;
    default:
      up = rest > half || (rest == half && (kept & 1));
      break;
  }
  if (exponent > kBias) {  // too large, whatever the rounding
    const bool to_infinity = rounding == Rounding::kNearest || rounding == Rounding::kNone ||
                             (rounding == Rounding::kUp && !negative) || (rounding == Rounding::kDown && negative);
    return sign | (to_infinity ? kInfinity : kInfinity - 1);
  }
  const u32 base = exponent < least ? 0 : static_cast<u32>(exponent + kBias - 1) << fraction_bits;
  const u32 rounded = base + static_cast<u32>(kept) + (up ? 1 : 0);  // a carry runs into the exponent, as it should
  return sign | rounded;
}

// --- results ---

template <class Register, class T, bool saturate, bool from_unsigned>
[[gnu::noinline]] void store_integer(void* to, const s64* values, LaneMask active) {
  Register* d = static_cast<Register*>(to);
  for (LaneMask left = active; left != 0; left &= left - 1) {
    const int i = std::countr_zero(left);
    T result = static_cast<T>(values[i]);
    if constexpr (saturate) {
      using Limits = std::numeric_limits<T>;
      if (from_unsigned) {
        const auto value = static_cast<u64>(values[i]);
        result = value > static_cast<u64>(Limits::max()) ? Limits::max() : static_cast<T>(value);
      } else if (std::is_same_v<T, u64>) {
        result = values[i] < 0 ? T{0} : static_cast<T>(values[i]);
      } else {
        result = values[i] < static_cast<s64>(Limits::min())   ? Limits::min()
                 : values[i] > static_cast<s64>(Limits::max()) ? Limits::max()
                                                               : static_cast<T>(values[i]);
      }
    }
    d[i] = static_cast<Register>(result);
  }
}

// NaN gives 0 (in 64 bits: the sign bit alone), what is too large the nearest value, as the machine does.
template <class T>
T clamp_to(double integral) {
  using Limits = std::numeric_limits<T>;
  if (!(integral == integral)) return sizeof(T) == 8 ? static_cast<T>(u64{1} << 63) : T{0};
  constexpr double kLow = static_cast<double>(Limits::min());
  constexpr double kBeyond =
      sizeof(T) == 8 ? (Limits::is_signed ? 0x1p63 : 0x1p64) : static_cast<double>(Limits::max()) + 1.0;
  if (integral < kLow) return Limits::min();
  if (integral >= kBeyond) return Limits::max();
  return static_cast<T>(integral);
}

template <class Register, class T, Rounding rounding>
[[gnu::noinline]] void store_rounded(void* to, const double* values, LaneMask active) {
  Register* d = static_cast<Register*>(to);
  for (LaneMask left = active; left != 0; left &= left - 1) {
    const int i = std::countr_zero(left);
    d[i] = static_cast<Register>(clamp_to<T>(to_integral<rounding>(values[i])));
  }
}

template <Type type, Rounding rounding>
auto narrowed(double value) {
  if constexpr (type == Type::kF64) {
    return bits_of(value);
  } else if constexpr (type == Type::kF32) {
    return narrow_bits<23, 8, rounding>(value);
  } else if constexpr (type == Type::kF16) {
    return static_cast<u16>(narrow_bits<10, 5, rounding>(value));
  } else {
    return static_cast<u16>(narrow_bits<7, 8, rounding>(value));
  }
}

template <Type type>
using float_register = std::conditional_t<type == Type::kF64, u64, std::conditional_t<type == Type::kF32, u32, u16>>;

enum class Finish { kPlain, kSaturate, kRelu, kFlush };

// `integral`: .rni and its like between floating-point types; the rounding is then that to an integer.
template <Type type, Rounding rounding, bool integral, Finish finish>
[[gnu::noinline]] void store_float(void* to, const double* values, LaneMask active) {
  auto* d = static_cast<float_register<type>*>(to);
  for (LaneMask left = active; left != 0; left &= left - 1) {
    const int i = std::countr_zero(left);
    double value = integral ? std::copysign(to_integral<rounding>(values[i]), values[i]) : values[i];
    if (finish == Finish::kSaturate) value = value > 0.0 ? (value < 1.0 ? value : 1.0) : 0.0;
    if (finish == Finish::kRelu && value < 0.0) value = 0.0;
    auto bits = narrowed < type, integral ? Rounding::kNearest : rounding > (value);
    if (finish == Finish::kFlush && type == Type::kF32 && (bits & 0x7f800000u) == 0) bits &= kSignBit;
    d[i] = bits;
  }
}

// 64-bit integers have more bits than a double: they are rounded by the processor, in its mode, at once.
template <class T, bool is_unsigned>
T rounded_integer(s64 value) {
  volatile s64 exact = value;
  return is_unsigned ? static_cast<T>(static_cast<u64>(exact)) : static_cast<T>(exact);
}
// To odd in double first, so that the second rounding is right (to f16 and bf16).
template <bool is_unsigned>
double odd_double(s64 value) {
  u64 magnitude = !is_unsigned && value < 0 ? 0 - static_cast<u64>(value) : static_cast<u64>(value);
  if (magnitude >> 53) {
    const int cut = 64 - std::countl_zero(magnitude) - 53;
    const bool inexact = (magnitude & ((u64{1} << cut) - 1)) != 0;
    magnitude = (magnitude >> cut | (inexact ? 1 : 0)) << cut;
  }
  const double result = static_cast<double>(magnitude);
  return !is_unsigned && value < 0 ? -result : result;
}

template <Type type, Rounding rounding, bool is_unsigned>
[[gnu::noinline]] void store_from_integer(void* to, const s64* values, LaneMask active) {
  constexpr int kMode = rounding == Rounding::kZero   ? FE_TOWARDZERO
                        : rounding == Rounding::kDown ? FE_DOWNWARD
                        : rounding == Rounding::kUp   ? FE_UPWARD
                                                      : FE_TONEAREST;
  const int before = std::fegetround();
  if (kMode != FE_TONEAREST) std::fesetround(kMode);
  auto* d = static_cast<float_register<type>*>(to);
  for (LaneMask left = active; left != 0; left &= left - 1) {
    const int i = std::countr_zero(left);
    if constexpr (type == Type::kF64) {
      d[i] = bits_of(rounded_integer<double, is_unsigned>(values[i]));
    } else {
      d[i] = narrowed<type, rounding>(odd_double<is_unsigned>(values[i]));
    }
  }
  if (kMode != FE_TONEAREST) std::fesetround(before);
}

// --- combinations ---

template <LoadIntegers load, auto store>
void through_integers(void* d, const void* a, const void*, const void*, LaneMask active, void*) {
  alignas(64) s64 values[kWarpSize];
  load(a, values);
  store(d, values, active);
}
template <LoadFloats load, auto store>
void through_doubles(void* d, const void* a, const void*, const void*, LaneMask active, void*) {
  alignas(64) double values[kWarpSize];
  load(a, values);
  store(d, values, active);
}

// Calls f.template operator()<Register, T>() for the integer type in a register of so many bytes.
template <class F>
LaneFunction with_integer(Type type, int bytes, F f) {
  const auto in_register = [&]<class T>() -> LaneFunction {
    if constexpr (sizeof(T) <= 2) {
      if (bytes == 2) return f.template operator()<u16, T>();
    }
    if constexpr (sizeof(T) <= 4) {
      if (bytes == 4) return f.template operator()<u32, T>();
    }
    return bytes == 8 ? f.template operator()<u64, T>() : nullptr;
  };
  switch (type) {
    case Type::kU8:
      return in_register.template operator()<u8>();
    case Type::kS8:
      return in_register.template operator()<s8>();
    case Type::kU16:
      return in_register.template operator()<u16>();
    case Type::kS16:
      return in_register.template operator()<s16>();
    case Type::kU32:
      return in_register.template operator()<u32>();
    case Type::kS32:
      return in_register.template operator()<s32>();
    case Type::kU64:
      return in_register.template operator()<u64>();
    case Type::kS64:
      return in_register.template operator()<s64>();
    default:
      return nullptr;
  }
}

bool is_integer(Type type) {
  return type >= Type::kU8 && type <= Type::kS64;
}
bool is_floating(Type type) {
  return type == Type::kF16 || type == Type::kBf16 || type == Type::kF32 || type == Type::kF64;
}

template <class ToRegister, class FromRegister, class From>
struct Extend {
  ToRegister operator()(FromRegister a) const { return static_cast<ToRegister>(static_cast<From>(a)); }
};

LaneFunction integer_to_integer(const Instruction& in, int to_bytes, int from_bytes) {
  if (in.rounding != Rounding::kNone || in.flush_subnormals || in.relu) return nullptr;
  return with_integer(in.type, to_bytes, [&]<class ToRegister, class To>() -> LaneFunction {
    return with_integer(in.source, from_bytes, [&]<class FromRegister, class From>() -> LaneFunction {
      if (in.saturate) {
        return through_integers<load_integers<FromRegister, From>,
                                store_integer<ToRegister, To, true, std::is_same_v<From, u64>>>;
      }
      if constexpr (sizeof(To) == sizeof(ToRegister) && (sizeof(FromRegister) <= 4 || sizeof(From) == 8)) {
        return unary<ToRegister, FromRegister, Extend<ToRegister, FromRegister, From>>;
      }
      return through_integers<load_integers<FromRegister, From>, store_integer<ToRegister, To, false, false>>;
    });
  });
}

template <Type type>
LaneFunction integer_to(const Instruction& in, int from_bytes) {
  return with_integer(in.source, from_bytes, [&]<class Register, class T>() -> LaneFunction {
    constexpr bool u = std::is_same_v<T, u64>;
    switch (in.rounding) {
      case Rounding::kNearest:
        return through_integers<load_integers<Register, T>, store_from_integer<type, Rounding::kNearest, u>>;
      case Rounding::kZero:
        return through_integers<load_integers<Register, T>, store_from_integer<type, Rounding::kZero, u>>;
      case Rounding::kDown:
        return through_integers<load_integers<Register, T>, store_from_integer<type, Rounding::kDown, u>>;
      case Rounding::kUp:
        return through_integers<load_integers<Register, T>, store_from_integer<type, Rounding::kUp, u>>;
      default:
        return nullptr;
    }
  });
}

LaneFunction integer_to_float(const Instruction& in, int from_bytes) {
  if (in.saturate || in.relu || in.flush_subnormals || in.part != 0) return nullptr;
  if (in.type == Type::kF32 && in.rounding == Rounding::kNearest) {
    if (in.source == Type::kS32) {
      struct Convert {
        float operator()(s32 a) const { return static_cast<float>(a); }
      };
      if (from_bytes == 4) return unary<float, s32, Convert>;
    }
    if (in.source == Type::kU32) {
      struct Convert {
        float operator()(u32 a) const { return static_cast<float>(a); }
      };
      if (from_bytes == 4) return unary<float, u32, Convert>;
    }
    if (bytes_of(in.source) <= 2) {  // exact: by way of s32
      return with_integer(in.source, from_bytes, []<class Register, class T>() -> LaneFunction {
        struct Convert {
          float operator()(Register a) const { return static_cast<float>(static_cast<s32>(static_cast<T>(a))); }
        };
        return unary<float, Register, Convert>;
      });
    }
  }
  switch (in.type) {
    case Type::kF16:
      return integer_to<Type::kF16>(in, from_bytes);
    case Type::kBf16:
      return integer_to<Type::kBf16>(in, from_bytes);
    case Type::kF32:
      return integer_to<Type::kF32>(in, from_bytes);
    default:
      return integer_to<Type::kF64>(in, from_bytes);
  }
}

// Calls f.template operator()<load>() for the floating-point source.
template <class F>
LaneFunction with_float(const Instruction& in, F f) {
  switch (in.source) {
    case Type::kF16:
      return f.template operator()<load_half<Half>>();
    case Type::kBf16:
      return f.template operator()<load_half<Bfloat>>();
    case Type::kF32:
      return in.flush_subnormals ? f.template operator()<load_f32<true>>() : f.template operator()<load_f32<false>>();
    default:
      return f.template operator()<load_f64>();
  }
}

template <Rounding rounding>
struct FloatToS32 {
  s32 operator()(float a) const {
    const float integral = rounding == Rounding::kZero   ? __builtin_truncf(a)
                           : rounding == Rounding::kDown ? __builtin_floorf(a)
                           : rounding == Rounding::kUp   ? __builtin_ceilf(a)
                                                         : __builtin_nearbyintf(a);
    const bool large = integral >= 0x1p31f;
    const bool small = integral < -0x1p31f || !(integral == integral);
    const s32 converted = static_cast<s32>(large || small ? 0.0f : integral);
    return large ? std::numeric_limits<s32>::max() : integral < -0x1p31f ? std::numeric_limits<s32>::min() : converted;
  }
};

LaneFunction float_to_integer(const Instruction& in, int to_bytes) {
  if (in.relu || in.part != 1) return nullptr;
  if (in.type == Type::kS32 && in.source == Type::kF32 && to_bytes == 4 && !in.flush_subnormals) {
    switch (in.rounding) {
      case Rounding::kZero:
        return unary<s32, float, FloatToS32<Rounding::kZero>>;
      case Rounding::kDown:
        return unary<s32, float, FloatToS32<Rounding::kDown>>;
      case Rounding::kUp:
        return unary<s32, float, FloatToS32<Rounding::kUp>>;
      default:
        return unary<s32, float, FloatToS32<Rounding::kNearest>>;
    }
  }
  return with_float(in, [&]<LoadFloats load>() -> LaneFunction {
    return with_integer(in.type, to_bytes, [&]<class Register, class T>() -> LaneFunction {
      switch (in.rounding) {
        case Rounding::kZero:
          return through_doubles<load, store_rounded<Register, T, Rounding::kZero>>;
        case Rounding::kDown:
          return through_doubles<load, store_rounded<Register, T, Rounding::kDown>>;
        case Rounding::kUp:
          return through_doubles<load, store_rounded<Register, T, Rounding::kUp>>;
        default:
          return through_doubles<load, store_rounded<Register, T, Rounding::kNearest>>;
      }
    });
  });
}

template <Type type, bool integral, Finish finish, LoadFloats load>
LaneFunction with_rounding(Rounding rounding) {
  switch (rounding) {
    case Rounding::kZero:
      return through_doubles<load, store_float<type, Rounding::kZero, integral, finish>>;
    case Rounding::kDown:
      return through_doubles<load, store_float<type, Rounding::kDown, integral, finish>>;
    case Rounding::kUp:
      return through_doubles<load, store_float<type, Rounding::kUp, integral, finish>>;
    case Rounding::kNearestAway:
      return nullptr;
    default:
      return through_doubles<load, store_float<type, Rounding::kNearest, integral, finish>>;
  }
}

template <Type type, LoadFloats load>
LaneFunction float_to(const Instruction& in) {
  const bool integral = in.part == 1;
  if (in.relu) {
    if (integral || in.saturate || (type != Type::kF16 && type != Type::kBf16)) return nullptr;
    return with_rounding<type, false, Finish::kRelu, load>(in.rounding);
  }
  if (in.saturate) {
    return integral ? with_rounding<type, true, Finish::kSaturate, load>(in.rounding)
                    : with_rounding<type, false, Finish::kSaturate, load>(in.rounding);
  }
  if (in.flush_subnormals) {
    return integral ? with_rounding<type, true, Finish::kFlush, load>(in.rounding)
                    : with_rounding<type, false, Finish::kFlush, load>(in.rounding);
  }
  return integral ? with_rounding<type, true, Finish::kPlain, load>(in.rounding)
                  : with_rounding<type, false, Finish::kPlain, load>(in.rounding);
}

template <class Format>
void half_to_f32(void* d, const void* a, const void*, const void*, LaneMask active, void*) {
  alignas(64) float values[kWarpSize];
  widen<Format, kWarpSize>(as<u16>(a), values);
  map<float>(
      d, active, [](float value) { return canonical(value); }, values);
}
template <class Format>
void f32_to_half(void* d, const void* a, const void*, const void*, LaneMask active, void*) {
  alignas(64) u16 values[kWarpSize];
  narrow<Format, kWarpSize>(as<float>(a), values);
  move_active(d, values, active);
}
template <Rounding rounding>
struct Integral {
  float operator()(float a) const {
    const float integral = rounding == Rounding::kZero   ? __builtin_truncf(a)
                           : rounding == Rounding::kDown ? __builtin_floorf(a)
                           : rounding == Rounding::kUp   ? __builtin_ceilf(a)
                                                         : __builtin_nearbyintf(a);
    return canonical(integral);
  }
};

// nullptr: none of the common ones.
LaneFunction common_float_to_float(const Instruction& in) {
  if (in.saturate || in.relu || in.flush_subnormals) return nullptr;
  const bool to_f32 = in.type == Type::kF32;
  if (to_f32 && in.source == Type::kF16 && in.part == 0) return half_to_f32<Half>;
  if (to_f32 && in.source == Type::kBf16 && in.part == 0) return half_to_f32<Bfloat>;
  if (in.source == Type::kF32 && in.rounding == Rounding::kNearest && in.part == 0) {
    if (in.type == Type::kF16) return f32_to_half<Half>;
    if (in.type == Type::kBf16) return f32_to_half<Bfloat>;
  }
  if (to_f32 && in.source == Type::kF32 && in.part == 1) {
    switch (in.rounding) {
      case Rounding::kZero:
        return unary<float, float, Integral<Rounding::kZero>>;
      case Rounding::kDown:
        return unary<float, float, Integral<Rounding::kDown>>;
      case Rounding::kUp:
        return unary<float, float, Integral<Rounding::kUp>>;
      default:
        return unary<float, float, Integral<Rounding::kNearest>>;
    }
  }
  return nullptr;
}

LaneFunction float_to_float(const Instruction& in) {
  if (const LaneFunction common = common_float_to_float(in)) return common;
  return with_float(in, [&]<LoadFloats load>() -> LaneFunction {
    switch (in.type) {
      case Type::kF16:
        return float_to<Type::kF16, load>(in);
      case Type::kBf16:
        return float_to<Type::kBf16, load>(in);
      case Type::kF32:
        return float_to<Type::kF32, load>(in);
      default:
        return float_to<Type::kF64, load>(in);
    }
  });
}

// --- tf32: f32 with 10 bits of fraction ---

struct ToTf32Even {
  u32 operator()(float a) const {
    const u32 bits = bits_of(a);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return kCanonicalNan;
    return (bits + 0xfff + (bits >> 13 & 1)) & ~0x1fffu;
  }
};
struct ToTf32Away {
  u32 operator()(float a) const {
    const u32 bits = bits_of(a);
    if ((bits & 0x7fffffffu) >= 0x7f800000u) return (bits & 0x7fffffffu) > 0x7f800000u ? kCanonicalNan : bits;
    return (bits + 0x1000) & ~0x1fffu;
  }
};

// --- pairs ---

template <class Format, bool relu>
void pack_floats(void* d, const void* a, const void* b, const void*, LaneMask active, void*) {
  alignas(64) float values[2 * kWarpSize];
  for (int i = 0; i < kWarpSize; ++i) {
    const float high = as<float>(a)[i];
    const float low = as<float>(b)[i];
    values[2 * i] = relu && low < 0 ? 0.0f : low;
    values[2 * i + 1] = relu && high < 0 ? 0.0f : high;
  }
  alignas(64) u16 packed[2 * kWarpSize];
  narrow<Format, 2 * kWarpSize>(values, packed);
  alignas(64) u32 pairs[kWarpSize];
  std::memcpy(pairs, packed, sizeof(pairs));
  move_active(d, pairs, active);
}
template <class Format, bool relu>
void pack_floats_toward_zero(void* d, const void* a, const void* b, const void*, LaneMask active, void*) {
  constexpr Type kType = std::is_same_v<Format, Half> ? Type::kF16 : Type::kBf16;
  alignas(64) u32 pairs[kWarpSize];
  for (int i = 0; i < kWarpSize; ++i) {
    const float high = relu && as<float>(a)[i] < 0 ? 0.0f : as<float>(a)[i];
    const float low = relu && as<float>(b)[i] < 0 ? 0.0f : as<float>(b)[i];
    pairs[i] = narrowed<kType, Rounding::kZero>(static_cast<double>(low)) |
               u32{narrowed<kType, Rounding::kZero>(static_cast<double>(high))} << 16;
  }
  move_active(d, pairs, active);
}

template <class Format8, bool relu>
void pack_float8(void* d, const void* a, const void* b, const void*, LaneMask active, void*) {
  alignas(64) u16 pairs[kWarpSize];
  for (int i = 0; i < kWarpSize; ++i) {
    const float high = relu && as<float>(a)[i] < 0 ? 0.0f : as<float>(a)[i];
    const float low = relu && as<float>(b)[i] < 0 ? 0.0f : as<float>(b)[i];
    pairs[i] = static_cast<u16>(narrow_float8<Format8>(low) | narrow_float8<Format8>(high) << 8);
  }
  move_active(d, pairs, active);
}
template <class Format8, bool relu>
void halves_to_float8(void* d, const void* a, const void*, const void*, LaneMask active, void*) {
  alignas(64) u16 pairs[kWarpSize];
  for (int i = 0; i < kWarpSize; ++i) {
    const float low = half_to_float(static_cast<u16>(as<u32>(a)[i]));
    const float high = half_to_float(static_cast<u16>(as<u32>(a)[i] >> 16));
    pairs[i] = static_cast<u16>(narrow_float8<Format8>(relu && low < 0 ? 0.0f : low) |
                                narrow_float8<Format8>(relu && high < 0 ? 0.0f : high) << 8);
  }
  move_active(d, pairs, active);
}
template <class Format8, bool relu>
void float8_to_halves(void* d, const void* a, const void*, const void*, LaneMask active, void*) {
  alignas(64) u32 pairs[kWarpSize];
  for (int i = 0; i < kWarpSize; ++i) {
    const u16 both = as<u16>(a)[i];
    float low = widen_float8<Format8>(static_cast<u8>(both));
    float high = widen_float8<Format8>(static_cast<u8>(both >> 8));
    if (relu) {
      low = low < 0 ? 0.0f : low;
      high = high < 0 ? 0.0f : high;
    }
    pairs[i] = Half::narrow(low) | u32{Half::narrow(high)} << 16;
  }
  move_active(d, pairs, active);
}

LaneFunction find_float8(const Instruction& in) {
  const bool from8 = in.source == Type::kE4m3x2 || in.source == Type::kE5m2x2;
  if (in.rounding != Rounding::kNearest || in.flush_subnormals || in.part != 0) return nullptr;
  const Type format = from8 ? in.source : in.type;
  const bool e4m3 = format == Type::kE4m3x2;
  if (from8) {
    if (in.type != Type::kF16x2 || in.saturate) return nullptr;
    if (e4m3) return in.relu ? float8_to_halves<E4m3, true> : float8_to_halves<E4m3, false>;
    return in.relu ? float8_to_halves<E5m2, true> : float8_to_halves<E5m2, false>;
  }
  if (!in.saturate) return nullptr;  // PTX knows only .satfinite
  if (in.source == Type::kF16x2 && in.op == Op::kCvt) {
    if (e4m3) return in.relu ? halves_to_float8<E4m3, true> : halves_to_float8<E4m3, false>;
    return in.relu ? halves_to_float8<E5m2, true> : halves_to_float8<E5m2, false>;
  }
  if (in.source != Type::kF32 || in.op != Op::kCvtPack) return nullptr;
  if (e4m3) return in.relu ? pack_float8<E4m3, true> : pack_float8<E4m3, false>;
  return in.relu ? pack_float8<E5m2, true> : pack_float8<E5m2, false>;
}

// cvt.pack.sat: two s32 (b low, a high) saturated to 16 bits.
template <class T>
void pack_integers(void* d, const void* a, const void* b, const void*, LaneMask active, void*) {
  constexpr int kWidth = static_cast<int>(sizeof(T)) * 8;
  using U = std::make_unsigned_t<T>;
  const auto limit = [](s32 value) {
    using Limits = std::numeric_limits<T>;
    return static_cast<u32>(static_cast<U>(value < Limits::min()   ? Limits::min()
                                           : value > Limits::max() ? Limits::max()
                                                                   : value));
  };
  alignas(64) u32 packed[kWarpSize];
  for (int i = 0; i < kWarpSize; ++i) {
    packed[i] = limit(as<s32>(b)[i]) | limit(as<s32>(a)[i]) << kWidth;
  }
  move_active(d, packed, active);
}

LaneFunction find_pack(const Instruction& in) {
  if (is_integer(in.type)) {
    if (!in.saturate || in.source != Type::kS32) return nullptr;
    switch (in.type) {
      case Type::kU16:
        return pack_integers<u16>;
      case Type::kS16:
        return pack_integers<s16>;
      default:
        return nullptr;
    }
  }
  if (in.source != Type::kF32 || in.flush_subnormals || in.saturate || in.part != 0) return nullptr;
  const bool half = in.type == Type::kF16x2;
  if (!half && in.type != Type::kBf16x2) return nullptr;
  if (in.rounding == Rounding::kNearest) {
    if (half) return in.relu ? pack_floats<Half, true> : pack_floats<Half, false>;
    return in.relu ? pack_floats<Bfloat, true> : pack_floats<Bfloat, false>;
  }
  if (in.rounding != Rounding::kZero) return nullptr;
  if (half) return in.relu ? pack_floats_toward_zero<Half, true> : pack_floats_toward_zero<Half, false>;
  return in.relu ? pack_floats_toward_zero<Bfloat, true> : pack_floats_toward_zero<Bfloat, false>;
}

bool is_float8(Type type) {
  return type == Type::kE4m3x2 || type == Type::kE5m2x2;
}

}  // namespace

LaneFunction find_convert(const Instruction& in, const Operand* operands) {
  if (is_float8(in.type) || is_float8(in.source)) return find_float8(in);
  if (in.op == Op::kCvtPack) return find_pack(in);
  if (in.type == Type::kTf32) {
    if (in.source != Type::kF32 || in.saturate || in.relu || in.flush_subnormals) return nullptr;
    if (in.rounding == Rounding::kNearest) return unary<u32, float, ToTf32Even>;
    return in.rounding == Rounding::kNearestAway ? unary<u32, float, ToTf32Away> : nullptr;
  }
  const bool to_integer = is_integer(in.type);
  const bool from_integer = is_integer(in.source);
  if (!(to_integer || is_floating(in.type)) || !(from_integer || is_floating(in.source))) return nullptr;
  if (to_integer) {
    return from_integer ? integer_to_integer(in, operands[0].bytes, operands[1].bytes)
                        : float_to_integer(in, operands[0].bytes);
  }
  return from_integer ? integer_to_float(in, operands[1].bytes) : float_to_float(in);
}

}  // namespace hearth::sim::exec::HEARTH_LANE_ISA
