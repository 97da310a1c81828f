// Logic, shifts, bit fields, permutations.
#include <array>
#include <utility>

#include "sim/exec/lane_ops_map.h"

namespace hearth::sim::exec::HEARTH_LANE_ISA {
namespace {

[[gnu::noinline]] void store_results(void* d, const u32* results, LaneMask active) {
  if (active == kAllLanes) {
    std::memcpy(d, results, sizeof(u32) * kWarpSize);
  } else {
    store_active(d, results, active);
  }
}

template <class T>
constexpr u32 kBits = sizeof(T) * 8;
template <class T>
using signed_t = std::conditional_t<sizeof(T) == 2, s16, std::conditional_t<sizeof(T) == 4, s32, s64>>;

template <class T>
struct And {
  T operator()(T a, T b) const { return static_cast<T>(a & b); }
};
template <class T>
struct Or {
  T operator()(T a, T b) const { return static_cast<T>(a | b); }
};
template <class T>
struct Xor {
  T operator()(T a, T b) const { return static_cast<T>(a ^ b); }
};
template <class T>
struct Not {
  T operator()(T a) const { return static_cast<T>(~a); }
};
template <class T>
struct Cnot {
  T operator()(T a) const { return a == 0 ? 1 : 0; }
};

// Shift amounts beyond the width shift everything out.
template <class T>
struct Shl {
  T operator()(T a, u32 b) const { return b < kBits<T> ? static_cast<T>(a << (b & (kBits<T> - 1))) : T{0}; }
};
template <class T>
struct Shr {
  T operator()(T a, u32 b) const {
    if (std::numeric_limits<T>::is_signed) return static_cast<T>(a >> (b < kBits<T> ? b : kBits<T> - 1));
    return b < kBits<T> ? static_cast<T>(a >> (b & (kBits<T> - 1))) : T{0};
  }
};

template <bool left, bool wrap>
struct Funnel {
  u32 operator()(u32 low, u32 high, u32 amount) const {
    const u32 n = wrap ? amount & 31 : (amount < 32 ? amount : 32);
    const u64 both = u64{high} << 32 | low;
    return static_cast<u32>(left ? (both << n) >> 32 : both >> n);
  }
};

template <class T>
struct Popc {
  u32 operator()(T a) const { return static_cast<u32>(std::popcount(a)); }
};
template <class T>
struct Clz {
  u32 operator()(T a) const { return static_cast<u32>(std::countl_zero(a)); }
};
// The position of the highest bit (below the sign, of what differs from it); ~0 if there is none.
template <class T, bool is_signed, bool shift_amount>
struct Bfind {
  u32 operator()(T a) const {
    if (is_signed && (a >> (kBits<T> - 1)) != 0) a = static_cast<T>(~a);
    if (a == 0) return ~u32{0};
    const auto zeros = static_cast<u32>(std::countl_zero(a));
    return shift_amount ? zeros : kBits<T> - 1 - zeros;
  }
};
template <class T>
struct Brev {
  T operator()(T a) const {
    T out = 0;
    for (u32 i = 0; i < kBits<T>; ++i) out = static_cast<T>(out << 1 | (a >> i & 1));
    return out;
  }
};

template <class T, bool is_signed>
struct Bfe {
  T operator()(T a, u32 b, u32 c) const {
    const u32 position = b & 0xff;
    const u32 length = c & 0xff;
    if (length == 0) return 0;
    const u32 last = position + length - 1 < kBits<T> - 1 ? position + length - 1 : kBits<T> - 1;
    const bool sign = is_signed && (a >> last & 1) != 0;
    T field = position < kBits<T> ? static_cast<T>(a >> position) : T{0};
    if (length >= kBits<T>) {
      // Everything above the position; what was shifted in is the sign.
      return sign && position > 0 ? static_cast<T>(position < kBits<T> ? field | ~(~T{0} >> position) : ~T{0}) : field;
    }
    const u32 valid = position < kBits<T> ? (length < kBits<T> - position ? length : kBits<T> - position) : 0;
    const T mask = valid == 0 ? T{0} : static_cast<T>(~T{0} >> (kBits<T> - valid));
    field &= mask;
    return sign ? static_cast<T>(field | ~mask) : field;
  }
};

// d = b with the low `length` bits of a at `position`.
template <class T>
void bfi(void* d, const void* a, const void* b, const void* c, LaneMask active, void* e) {
  map<T>(
      d, active,
      [](T from, T into, u32 position, u32 length) {
        position &= 0xff;
        length &= 0xff;
        if (position >= kBits<T> || length == 0) return into;
        const T mask = length >= kBits<T> ? ~T{0} : static_cast<T>((T{1} << length) - 1);
        return static_cast<T>((into & ~static_cast<T>(mask << position)) | static_cast<T>((from & mask) << position));
      },
      as<T>(a), as<T>(b), as<u32>(c), as<u32>(e));
}

template <bool wrap>
struct Bmsk {
  u32 operator()(u32 a, u32 b) const {
    const u32 position = wrap ? a & 31 : (a < 32 ? a : 32);
    const u32 length = wrap ? b & 31 : (b < 32 ? b : 32);
    const u64 mask = ((u64{1} << length) - 1) << position;
    return static_cast<u32>(mask);
  }
};
// The low b bits of a, extended with their sign or with zeros.
template <bool is_signed, bool wrap>
struct Szext {
  u32 operator()(u32 a, u32 b) const {
    const u32 length = wrap ? b & 31 : b;
    if (length >= 32) return a;
    if (length == 0) return 0;
    const u32 shifted = a << (32 - length);
    return is_signed ? static_cast<u32>(static_cast<s32>(shifted) >> (32 - length)) : shifted >> (32 - length);
  }
};

// The position of the n-th set bit of a mask, counted from `base` upwards (offset > 0) or downwards (offset < 0).
struct Fns {
  u32 operator()(u32 mask, u32 base, u32 offset) const {
    const s32 n = static_cast<s32>(offset);
    if (n == 0) return base < 32 && (mask >> base & 1) ? base : ~u32{0};
    const int step = n > 0 ? 1 : -1;
    u32 left = n > 0 ? offset : 0 - offset;
    for (s64 at = base; at >= 0 && at < 32; at += step) {
      if ((mask >> at & 1) && --left == 0) return static_cast<u32>(at);
    }
    return ~u32{0};
  }
};

template <int table>
struct Lop3 {
  u32 operator()(u32 a, u32 b, u32 c) const {
    u32 out = 0;
    if (table & 0x01) out |= ~a & ~b & ~c;
    if (table & 0x02) out |= ~a & ~b & c;
    if (table & 0x04) out |= ~a & b & ~c;
    if (table & 0x08) out |= ~a & b & c;
    if (table & 0x10) out |= a & ~b & ~c;
    if (table & 0x20) out |= a & ~b & c;
    if (table & 0x40) out |= a & b & ~c;
    if (table & 0x80) out |= a & b & c;
    return out;
  }
};
// One compact loop for each table: 256 unrolled ones would take the compiler long.
template <int table>
void lop3(void* d, const void* a, const void* b, const void* c, LaneMask active, void*) {
  alignas(64) u32 results[kWarpSize];
  const Lop3<table> f;
  HEARTH_LANES_ROLLED
  for (int i = 0; i < kWarpSize; ++i) results[i] = f(as<u32>(a)[i], as<u32>(b)[i], as<u32>(c)[i]);
  store_results(d, results, active);
}
template <std::size_t... tables>
constexpr std::array<LaneFunction, sizeof...(tables)> lop3_functions(std::index_sequence<tables...>) {
  return {lop3<static_cast<int>(tables)>...};
}
constexpr std::array<LaneFunction, 256> kLop3 = lop3_functions(std::make_index_sequence<256>{});

struct PermuteIndex {
  u32 operator()(u32 a, u32 b, u32 c) const {
    const u64 bytes = u64{b} << 32 | a;
    u32 out = 0;
    for (u32 i = 0; i < 4; ++i) {
      const u32 selector = c >> (4 * i);
      u32 byte = static_cast<u32>(bytes >> (8 * (selector & 7))) & 0xff;
      if (selector & 8) byte = (byte & 0x80) ? 0xff : 0;
      out |= byte << (8 * i);
    }
    return out;
  }
};
template <ptx::PermuteMode mode>
struct Permute {
  u32 operator()(u32 a, u32 b, u32 c) const {
    using ptx::PermuteMode;
    const u64 bytes = u64{b} << 32 | a;
    const u32 n = c & 3;
    u32 out = 0;
    for (u32 i = 0; i < 4; ++i) {
      u32 from = 0;
      switch (mode) {
        case PermuteMode::kF4e:
          from = n + i;
          break;
        case PermuteMode::kB4e:
          from = (n - i) & 7;
          break;
        case PermuteMode::kRc8:
          from = n;
          break;
        case PermuteMode::kEcl:
          from = i > n ? i : n;
          break;
        case PermuteMode::kEcr:
          from = i < n ? i : n;
          break;
        default:  // kRc16
          from = (n & 1) * 2 + (i & 1);
          break;
      }
      out |= (static_cast<u32>(bytes >> (8 * from)) & 0xff) << (8 * i);
    }
    return out;
  }
};

LaneFunction find_permute(ptx::PermuteMode mode) {
  using ptx::PermuteMode;
  switch (mode) {
    case PermuteMode::kIndex:
      return ternary<u32, u32, u32, u32, PermuteIndex>;
    case PermuteMode::kF4e:
      return ternary<u32, u32, u32, u32, Permute<PermuteMode::kF4e>>;
    case PermuteMode::kB4e:
      return ternary<u32, u32, u32, u32, Permute<PermuteMode::kB4e>>;
    case PermuteMode::kRc8:
      return ternary<u32, u32, u32, u32, Permute<PermuteMode::kRc8>>;
    case PermuteMode::kEcl:
      return ternary<u32, u32, u32, u32, Permute<PermuteMode::kEcl>>;
    case PermuteMode::kEcr:
      return ternary<u32, u32, u32, u32, Permute<PermuteMode::kEcr>>;
    case PermuteMode::kRc16:
      return ternary<u32, u32, u32, u32, Permute<PermuteMode::kRc16>>;
  }
  return nullptr;
}

LaneFunction find_funnel(ptx::ShiftMode mode) {
  switch (mode) {
    case ptx::ShiftMode::kLeftClamp:
      return ternary<u32, u32, u32, u32, Funnel<true, false>>;
    case ptx::ShiftMode::kLeftWrap:
      return ternary<u32, u32, u32, u32, Funnel<true, true>>;
    case ptx::ShiftMode::kRightClamp:
      return ternary<u32, u32, u32, u32, Funnel<false, false>>;
    case ptx::ShiftMode::kRightWrap:
      return ternary<u32, u32, u32, u32, Funnel<false, true>>;
  }
  return nullptr;
}

template <class T>
LaneFunction find_logic(const Instruction& instruction) {
  switch (instruction.op) {
    case Op::kAnd:
      return binary<T, T, T, And<T>>;
    case Op::kOr:
      return binary<T, T, T, Or<T>>;
    case Op::kXor:
      return binary<T, T, T, Xor<T>>;
    case Op::kNot:
      return unary<T, T, Not<T>>;
    case Op::kCnot:
      return unary<T, T, Cnot<T>>;
    case Op::kShl:
      return binary<T, T, u32, Shl<T>>;
    case Op::kShr:
      return binary<T, T, u32, Shr<T>>;
    default:
      return nullptr;
  }
}

template <class T>
LaneFunction find_bit_count(const Instruction& instruction, bool is_bits, bool is_signed) {
  switch (instruction.op) {
    case Op::kPopc:
      return is_bits ? unary<u32, T, Popc<T>> : nullptr;
    case Op::kClz:
      return is_bits ? unary<u32, T, Clz<T>> : nullptr;
    case Op::kBrev:
      return is_bits ? unary<T, T, Brev<T>> : nullptr;
    case Op::kBfi:
      return is_bits ? bfi<T> : nullptr;
    case Op::kBfind:
      if (is_bits) return nullptr;
      if (instruction.part)
        return is_signed ? unary<u32, T, Bfind<T, true, true>> : unary<u32, T, Bfind<T, false, true>>;
      return is_signed ? unary<u32, T, Bfind<T, true, false>> : unary<u32, T, Bfind<T, false, false>>;
    case Op::kBfe:
      if (is_bits) return nullptr;
      return is_signed ? ternary<T, T, u32, u32, Bfe<T, true>> : ternary<T, T, u32, u32, Bfe<T, false>>;
    default:
      return nullptr;
  }
}

// One mask for all lanes: a single operation.
template <class F>
void predicate_logic(void* d, const void* a, const void* b, const void*, LaneMask active, void*) {
  store_predicate(d, F{}(*as<LaneMask>(a), *as<LaneMask>(b)), active);
}
void predicate_not(void* d, const void* a, const void*, const void*, LaneMask active, void*) {
  store_predicate(d, ~*as<LaneMask>(a), active);
}

LaneFunction find_predicate(Op op) {
  switch (op) {
    case Op::kAnd:
      return predicate_logic<And<LaneMask>>;
    case Op::kOr:
      return predicate_logic<Or<LaneMask>>;
    case Op::kXor:
      return predicate_logic<Xor<LaneMask>>;
    case Op::kNot:
      return predicate_not;
    default:
      return nullptr;
  }
}

LaneFunction find_words(const Instruction& instruction) {
  const bool wrap = instruction.shift == ptx::ShiftMode::kRightWrap;
  const bool is_b32 = instruction.type == Type::kB32;
  switch (instruction.op) {
    case Op::kLop3:
      return is_b32 ? kLop3[instruction.part] : nullptr;
    case Op::kPrmt:
      return is_b32 ? find_permute(instruction.permute) : nullptr;
    case Op::kShf:
      return is_b32 ? find_funnel(instruction.shift) : nullptr;
    case Op::kFns:
      return is_b32 ? ternary_each<u32, u32, u32, u32, Fns> : nullptr;
    case Op::kBmsk:
      if (!is_b32) return nullptr;
      return wrap ? binary<u32, u32, u32, Bmsk<true>> : binary<u32, u32, u32, Bmsk<false>>;
    case Op::kSzext:
      if (instruction.type == Type::kS32) {
        return wrap ? binary<u32, u32, u32, Szext<true, true>> : binary<u32, u32, u32, Szext<true, false>>;
      }
      if (instruction.type != Type::kU32) return nullptr;
      return wrap ? binary<u32, u32, u32, Szext<false, true>> : binary<u32, u32, u32, Szext<false, false>>;
    default:
      return nullptr;
  }
}

}  // namespace

LaneFunction find_bits(const Instruction& instruction) {
  const Op op = instruction.op;
  if (instruction.type == Type::kPred) return find_predicate(op);
  if (op == Op::kLop3 || op == Op::kPrmt || op == Op::kShf || op == Op::kFns || op == Op::kBmsk || op == Op::kSzext) {
    return find_words(instruction);
  }
  switch (instruction.type) {
    case Type::kB16:
      return find_logic<u16>(instruction);
    case Type::kB32: {
      const LaneFunction found = find_logic<u32>(instruction);
      return found ? found : find_bit_count<u32>(instruction, true, false);
    }
    case Type::kB64: {
      const LaneFunction found = find_logic<u64>(instruction);
      return found ? found : find_bit_count<u64>(instruction, true, false);
    }
    case Type::kU16:
    case Type::kS16:
      if (op != Op::kShr) return nullptr;
      return instruction.type == Type::kU16 ? binary<u16, u16, u32, Shr<u16>> : binary<s16, s16, u32, Shr<s16>>;
    case Type::kU32:
      return op == Op::kShr ? binary<u32, u32, u32, Shr<u32>> : find_bit_count<u32>(instruction, false, false);
    case Type::kS32:
      return op == Op::kShr ? binary<s32, s32, u32, Shr<s32>> : find_bit_count<u32>(instruction, false, true);
    case Type::kU64:
      return op == Op::kShr ? binary<u64, u64, u32, Shr<u64>> : find_bit_count<u64>(instruction, false, false);
    case Type::kS64:
      return op == Op::kShr ? binary<s64, s64, u32, Shr<s64>> : find_bit_count<u64>(instruction, false, true);
    default:
      return nullptr;
  }
}

}  // namespace hearth::sim::exec::HEARTH_LANE_ISA
