// Comparisons, selections and moves.
#include "sim/exec/lane_float.h"

namespace hearth::sim::exec::HEARTH_LANE_ISA {
namespace {

using ptx::Compare;

struct Equal {
  template <class T>
  bool operator()(T a, T b) const {
    return a == b;
  }
};
struct NotEqual {  // false when an operand is a NaN
  template <class T>
  bool operator()(T a, T b) const {
    return a < b || b < a;
  }
};
struct Less {
  template <class T>
  bool operator()(T a, T b) const {
    return a < b;
  }
};
struct LessEqual {
  template <class T>
  bool operator()(T a, T b) const {
    return a <= b;
  }
};
struct Greater {
  template <class T>
  bool operator()(T a, T b) const {
    return a > b;
  }
};
struct GreaterEqual {
  template <class T>
  bool operator()(T a, T b) const {
    return a >= b;
  }
};
struct Number {
  template <class T>
  bool operator()(T a, T b) const {
    return a == a && b == b;
  }
};
// The opposite of another comparison: true when an operand is a NaN.
template <class F>
struct Opposite {
  template <class T>
  bool operator()(T a, T b) const {
    return !F{}(a, b);
  }
};

// How operands are read: each gives the mask of a comparison F.
template <class T>
struct Plain {
  template <class F>
  static LaneMask compare(const void* a, const void* b) {
    return compare_lanes(as<T>(a), as<T>(b), F{});
  }
};
struct Flushed {
  template <class F>
  static LaneMask compare(const void* a, const void* b) {
    return compare_lanes(as<float>(a), as<float>(b), [](float x, float y) { return F{}(flushed(x), flushed(y)); });
  }
};
template <class Format>
struct Widened {
  template <class F>
  static LaneMask compare(const void* a, const void* b) {
    alignas(64) float x[kWarpSize];
    alignas(64) float y[kWarpSize];
    widen<Format, kWarpSize>(as<u16>(a), x);
    widen<Format, kWarpSize>(as<u16>(b), y);
    return compare_lanes(x, y, F{});
  }
};
// Of pairs: the low elements' mask in the low 32 bits.
template <class Format>
struct WidenedPairs {
  template <class F>
  static u64 compare(const void* a, const void* b) {
    alignas(64) float x[2 * kWarpSize];
    alignas(64) float y[2 * kWarpSize];
    widen<Format, 2 * kWarpSize>(as<u16>(a), x);
    widen<Format, 2 * kWarpSize>(as<u16>(b), y);
    u64 masks = 0;
    HEARTH_LANES_ROLLED
    for (int i = 0; i < kWarpSize; ++i) {
      masks |= u64{F{}(x[2 * i], y[2 * i])} << i | u64{F{}(x[2 * i + 1], y[2 * i + 1])} << (32 + i);
    }
    return masks;
  }
};

// Not inlined: a comparison is shared by what is done with its mask.
template <class Read, class F>
[[gnu::noinline]] auto compare_registers(const void* a, const void* b) {
  return Read::template compare<F>(a, b);
}

template <class D>
[[gnu::noinline]] void fill(void* d, LaneMask mask, D one, LaneMask active) {
  alignas(64) D results[kWarpSize];
  for (int i = 0; i < kWarpSize; ++i) results[i] = (mask >> i & 1) ? one : D{0};
  store_active(d, results, active);
}
[[gnu::noinline]] void fill_pairs(void* d, u64 masks, u32 one, LaneMask active) {
  alignas(64) u32 results[kWarpSize];
  for (int i = 0; i < kWarpSize; ++i) {
    results[i] = ((masks >> i & 1) ? one : 0) | ((masks >> (32 + i) & 1) ? one << 16 : 0);
  }
  store_active(d, results, active);
}

// What is done with the mask.
struct ToPredicate {
  template <class Read, class F>
  static void run(void* d, const void* a, const void* b, const void*, LaneMask active, void*) {
    store_predicate(d, compare_registers<Read, F>(a, b), active);
  }
};
template <class D, D one>
struct ToValue {
  template <class Read, class F>
  static void run(void* d, const void* a, const void* b, const void*, LaneMask active, void*) {
    fill<D>(d, compare_registers<Read, F>(a, b), one, active);
  }
};
template <u16 one>
struct ToPair {
  template <class Read, class F>
  static void run(void* d, const void* a, const void* b, const void*, LaneMask active, void*) {
    fill_pairs(d, compare_registers<Read, F>(a, b), one, active);
  }
};

template <class Use, class Read>
LaneFunction integer_compare(Compare compare) {
  switch (compare) {
    case Compare::kEq:
      return Use::template run<Read, Equal>;
    case Compare::kNe:
      return Use::template run<Read, Opposite<Equal>>;
    case Compare::kLt:
      return Use::template run<Read, Less>;
    case Compare::kLe:
      return Use::template run<Read, LessEqual>;
    case Compare::kGt:
      return Use::template run<Read, Greater>;
    case Compare::kGe:
      return Use::template run<Read, GreaterEqual>;
    default:
      return nullptr;
  }
}

template <class Use, class Read>
LaneFunction bits_compare(Compare compare) {
  return compare == Compare::kEq   ? Use::template run<Read, Equal>
         : compare == Compare::kNe ? Use::template run<Read, Opposite<Equal>>
                                   : nullptr;
}

template <class Use, class Read>
LaneFunction float_compare(Compare compare) {
  switch (compare) {
    case Compare::kEq:
      return Use::template run<Read, Equal>;
    case Compare::kNe:
      return Use::template run<Read, NotEqual>;
    case Compare::kLt:
      return Use::template run<Read, Less>;
    case Compare::kLe:
      return Use::template run<Read, LessEqual>;
    case Compare::kGt:
      return Use::template run<Read, Greater>;
    case Compare::kGe:
      return Use::template run<Read, GreaterEqual>;
    case Compare::kEqu:
      return Use::template run<Read, Opposite<NotEqual>>;
    case Compare::kNeu:
      return Use::template run<Read, Opposite<Equal>>;
    case Compare::kLtu:
      return Use::template run<Read, Opposite<GreaterEqual>>;
    case Compare::kLeu:
      return Use::template run<Read, Opposite<Greater>>;
    case Compare::kGtu:
      return Use::template run<Read, Opposite<LessEqual>>;
    case Compare::kGeu:
      return Use::template run<Read, Opposite<Less>>;
    case Compare::kNum:
      return Use::template run<Read, Number>;
    case Compare::kNan:
      return Use::template run<Read, Opposite<Number>>;
  }
  return nullptr;
}

template <class Use>
LaneFunction find_compare(Compare compare, Type type, bool ftz) {
  const bool floating = type == Type::kF32 || type == Type::kF16 || type == Type::kBf16;
  if (ftz && !floating) return nullptr;
  switch (type) {
    case Type::kB16:
      return bits_compare<Use, Plain<u16>>(compare);
    case Type::kB32:
      return bits_compare<Use, Plain<u32>>(compare);
    case Type::kB64:
      return bits_compare<Use, Plain<u64>>(compare);
    case Type::kU16:
      return integer_compare<Use, Plain<u16>>(compare);
    case Type::kS16:
      return integer_compare<Use, Plain<s16>>(compare);
    case Type::kU32:
      return integer_compare<Use, Plain<u32>>(compare);
    case Type::kS32:
      return integer_compare<Use, Plain<s32>>(compare);
    case Type::kU64:
      return integer_compare<Use, Plain<u64>>(compare);
    case Type::kS64:
      return integer_compare<Use, Plain<s64>>(compare);
    case Type::kF32:
      return ftz ? float_compare<Use, Flushed>(compare) : float_compare<Use, Plain<float>>(compare);
    case Type::kF64:
      return float_compare<Use, Plain<double>>(compare);
    case Type::kF16:  // .ftz would only matter to subnormal halves, which PTX lets a comparison keep
      return ftz ? nullptr : float_compare<Use, Widened<Half>>(compare);
    case Type::kBf16:
      return ftz ? nullptr : float_compare<Use, Widened<Bfloat>>(compare);
    default:
      return nullptr;
  }
}

LaneFunction find_set(const Instruction& instruction) {
  const Compare compare = instruction.compare;
  const Type source = instruction.source;
  const bool ftz = instruction.flush_subnormals;
  if (source == Type::kF16x2 || source == Type::kBf16x2) {
    const bool half = source == Type::kF16x2;
    if (ftz) return nullptr;
    if (instruction.type == Type::kU32 || instruction.type == Type::kS32) {
      return half ? float_compare<ToPair<0xffff>, WidenedPairs<Half>>(compare)
                  : float_compare<ToPair<0xffff>, WidenedPairs<Bfloat>>(compare);
    }
    if (instruction.type != source) return nullptr;
    return half ? float_compare<ToPair<Half::kOne>, WidenedPairs<Half>>(compare)
                : float_compare<ToPair<Bfloat::kOne>, WidenedPairs<Bfloat>>(compare);
  }
  switch (instruction.type) {
    case Type::kU32:
    case Type::kS32:
      return find_compare<ToValue<u32, 0xffffffffu>>(compare, source, ftz);
    case Type::kF32:
      return find_compare<ToValue<u32, 0x3f800000u>>(compare, source, ftz);
    case Type::kU16:
    case Type::kS16:
      return find_compare<ToValue<u16, 0xffff>>(compare, source, ftz);
    case Type::kF16:
      return find_compare<ToValue<u16, Half::kOne>>(compare, source, ftz);
    case Type::kBf16:
      return find_compare<ToValue<u16, Bfloat::kOne>>(compare, source, ftz);
    default:
      return nullptr;
  }
}

// --- selections ---

template <class T>
void select_lanes(void* d, const void* a, const void* b, const void* c, LaneMask active, void*) {
  const LaneMask choice = *as<LaneMask>(c);
  alignas(64) T results[kWarpSize];
  HEARTH_LANES_INDEPENDENT
  for (int i = 0; i < kWarpSize; ++i) results[i] = (choice >> i & 1) ? as<T>(a)[i] : as<T>(b)[i];
  if (active == kAllLanes) {
    std::memcpy(d, results, sizeof(results));
  } else {
    store_active(d, results, active);
  }
}

template <class T, class C, bool ftz>
struct ChooseBySign {
  T operator()(T a, T b, C c) const {
    if constexpr (ftz) c = flushed(c);
    return c >= 0 ? a : b;
  }
};
template <class T>
LaneFunction find_slct(const Instruction& instruction) {
  if (instruction.source == Type::kS32 && !instruction.flush_subnormals) {
    return ternary<T, T, T, s32, ChooseBySign<T, s32, false>>;
  }
  if (instruction.source != Type::kF32) return nullptr;
  return instruction.flush_subnormals ? ternary<T, T, T, float, ChooseBySign<T, float, true>>
                                      : ternary<T, T, T, float, ChooseBySign<T, float, false>>;
}

// --- moves ---

template <class T>
void move_lanes(void* d, const void* a, const void*, const void*, LaneMask active, void*) {
  if (active == kAllLanes) {
    std::memmove(d, a, sizeof(T) * kWarpSize);
  } else {
    store_active(d, as<T>(a), active);
  }
}
void move_predicate(void* d, const void* a, const void*, const void*, LaneMask active, void*) {
  store_predicate(d, *as<LaneMask>(a), active);
}

template <class D, class S>
void pack_two(void* d, const void* a, const void* b, const void*, LaneMask active, void*) {
  map<D>(
      d, active, [](S low, S high) { return static_cast<D>(low | static_cast<D>(high) << (8 * sizeof(S))); }, as<S>(a),
      as<S>(b));
}
void pack_four(void* d, const void* a, const void* b, const void* c, LaneMask active, void* e) {
  map<u64>(
      d, active, [](u16 w, u16 x, u16 y, u16 z) { return w | u64{x} << 16 | u64{y} << 32 | u64{z} << 48; }, as<u16>(a),
      as<u16>(b), as<u16>(c), as<u16>(e));
}

template <class D, class S, int part>
struct Extract {
  D operator()(S a) const { return static_cast<D>(a >> (part * 8 * sizeof(D))); }
};

LaneFunction find_extract(const Instruction& instruction) {
  if (instruction.type == Type::kB32) {
    if (instruction.source != Type::kB64) return nullptr;
    return instruction.part == 0 ? unary<u32, u64, Extract<u32, u64, 0>> : unary<u32, u64, Extract<u32, u64, 1>>;
  }
  if (instruction.source == Type::kB32) {
    return instruction.part == 0 ? unary<u16, u32, Extract<u16, u32, 0>> : unary<u16, u32, Extract<u16, u32, 1>>;
  }
  switch (instruction.part) {
    case 0:
      return unary<u16, u64, Extract<u16, u64, 0>>;
    case 1:
      return unary<u16, u64, Extract<u16, u64, 1>>;
    case 2:
      return unary<u16, u64, Extract<u16, u64, 2>>;
    default:
      return unary<u16, u64, Extract<u16, u64, 3>>;
  }
}

template <class T>
LaneFunction find_sized(const Instruction& instruction) {
  switch (instruction.op) {
    case Op::kMov:
      return move_lanes<T>;
    case Op::kSelp:
      return select_lanes<T>;
    default:
      return find_slct<T>(instruction);
  }
}

}  // namespace

LaneFunction find_select(const Instruction& instruction, const Operand* operands) {
  switch (instruction.op) {
    case Op::kSetp:
      return find_compare<ToPredicate>(instruction.compare, instruction.type, instruction.flush_subnormals);
    case Op::kSet:
      return find_set(instruction);
    case Op::kPack:
      if (instruction.type == Type::kB32) return operands[1].bytes == 2 ? pack_two<u32, u16> : nullptr;
      if (instruction.type != Type::kB64) return nullptr;
      return operands[1].bytes == 4 ? pack_two<u64, u32> : pack_four;
    case Op::kExtract:
      return find_extract(instruction);
    default:
      break;
  }
  switch (instruction.type) {
    case Type::kPred:
      return instruction.op == Op::kMov ? move_predicate : nullptr;
    case Type::kB16:
      return find_sized<u16>(instruction);
    case Type::kB32:
      return find_sized<u32>(instruction);
    case Type::kB64:
      return find_sized<u64>(instruction);
    default:
      return nullptr;
  }
}

}  // namespace hearth::sim::exec::HEARTH_LANE_ISA
