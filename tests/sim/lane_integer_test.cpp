// Integer arithmetic, logic and bits, each against C++ integers wide enough to be exact.
#include <algorithm>

#include "sim/lane_support.h"

namespace hearth::sim::test {
namespace {

using s128 = __int128;
using u128 = unsigned __int128;

template <class T>
const char* name() {
  constexpr bool is_signed = std::is_signed_v<T>;
  return sizeof(T) == 2   ? (is_signed ? "s16" : "u16")
         : sizeof(T) == 4 ? (is_signed ? "s32" : "u32")
         : is_signed      ? "s64"
                          : "u64";
}
template <class T>
std::string text(const char* format) {
  std::string out = format;
  for (std::size_t at; (at = out.find("TYPE")) != std::string::npos;) out.replace(at, 4, name<T>());
  return out;
}
template <class T>
T wrapped(s128 value) {
  return static_cast<T>(value);
}

template <class T>
class Integers : public testing::Test {};
using AllIntegers = testing::Types<u16, s16, u32, s32, u64, s64>;
TYPED_TEST_SUITE(Integers, AllIntegers);

TYPED_TEST(Integers, AddSubtractMultiply) {
  using T = TypeParam;
  check<T, T, T>(text<T>("add.TYPE $0, $1, $2;"), [](T a, T b) { return wrapped<T>(s128{a} + b); });
  check<T, T, T>(text<T>("sub.TYPE $0, $1, $2;"), [](T a, T b) { return wrapped<T>(s128{a} - b); });
  check<T, T, T>(text<T>("mul.lo.TYPE $0, $1, $2;"),
                 [](T a, T b) { return wrapped<T>(static_cast<s128>(u128(a) * u128(b))); });
  check<T, T, T>(text<T>("mul.hi.TYPE $0, $1, $2;"), [](T a, T b) {
    const int bits = sizeof(T) * 8;
    return std::is_signed_v<T> ? static_cast<T>((s128{a} * b) >> bits) : static_cast<T>((u128(a) * u128(b)) >> bits);
  });
  check<T, T, T, T>(text<T>("mad.lo.TYPE $0, $1, $2, $3;"),
                    [](T a, T b, T c) { return wrapped<T>(static_cast<s128>(u128(a) * u128(b) + u128(c))); });
  check<T, T, T, T>(text<T>("mad.hi.TYPE $0, $1, $2, $3;"), [](T a, T b, T c) {
    const int bits = sizeof(T) * 8;
    const s128 high = std::is_signed_v<T> ? (s128{a} * b) >> bits : static_cast<s128>((u128(a) * u128(b)) >> bits);
    return wrapped<T>(high + c);
  });
}

TYPED_TEST(Integers, DivideAndCompare) {
  using T = TypeParam;
  // By zero: all ones, and the dividend as the remainder, as the hardware does.
  check<T, T, T>(text<T>("div.TYPE $0, $1, $2;"),
                 [](T a, T b) { return b == 0 ? static_cast<T>(-1) : wrapped<T>(s128{a} / b); });
  check<T, T, T>(text<T>("rem.TYPE $0, $1, $2;"), [](T a, T b) { return b == 0 ? a : wrapped<T>(s128{a} % b); });
  check<T, T, T>(text<T>("min.TYPE $0, $1, $2;"), [](T a, T b) { return std::min(a, b); });
  check<T, T, T>(text<T>("max.TYPE $0, $1, $2;"), [](T a, T b) { return std::max(a, b); });
  check<T, T, T, T>(text<T>("sad.TYPE $0, $1, $2, $3;"), [](T a, T b, T c) {
    const s128 difference = s128{a} - b;
    return wrapped<T>(c + (difference < 0 ? -difference : difference));
  });
  check<bool, T, T>(text<T>("setp.eq.TYPE $0, $1, $2;"), [](T a, T b) { return a == b; });
  check<bool, T, T>(text<T>("setp.ne.TYPE $0, $1, $2;"), [](T a, T b) { return a != b; });
  check<bool, T, T>(text<T>("setp.lt.TYPE $0, $1, $2;"), [](T a, T b) { return a < b; });
  check<bool, T, T>(text<T>("setp.le.TYPE $0, $1, $2;"), [](T a, T b) { return a <= b; });
  check<bool, T, T>(text<T>("setp.gt.TYPE $0, $1, $2;"), [](T a, T b) { return a > b; });
  check<bool, T, T>(text<T>("setp.ge.TYPE $0, $1, $2;"), [](T a, T b) { return a >= b; });
  check<bool, T, T, bool>(text<T>("setp.lt.and.TYPE $0, $1, $2, !$3;"), [](T a, T b, bool c) { return a < b && !c; });
}

TYPED_TEST(Integers, ShiftsClampTheirAmount) {
  using T = TypeParam;
  const u32 bits = sizeof(T) * 8;
  check<T, T, u32>(text<T>("shr.TYPE $0, $1, $2;"), [bits](T a, u32 b) {
    if (b >= bits) return std::is_signed_v<T> && a < 0 ? static_cast<T>(-1) : T{0};
    return static_cast<T>(a >> b);
  });
  const std::string shl = "shl.b" + std::to_string(bits) + " $0, $1, $2;";
  check<T, T, u32>(shl, [bits](T a, u32 b) { return b >= bits ? T{0} : static_cast<T>(static_cast<u64>(a) << b); });
}

TEST(IntegerLanes, SignedOnes) {
  check<s32, s32>("abs.s32 $0, $1;", [](s32 a) { return wrapped<s32>(a < 0 ? -s128{a} : s128{a}); });
  check<s64, s64>("abs.s64 $0, $1;", [](s64 a) { return wrapped<s64>(a < 0 ? -s128{a} : s128{a}); });
  check<s16, s16>("neg.s16 $0, $1;", [](s16 a) { return wrapped<s16>(-s128{a}); });
  check<s32, s32>("neg.s32 $0, $1;", [](s32 a) { return wrapped<s32>(-s128{a}); });
  const auto clamp = [](s64 value) { return static_cast<s32>(std::clamp<s64>(value, INT32_MIN, INT32_MAX)); };
  check<s32, s32, s32>("add.sat.s32 $0, $1, $2;", [&](s32 a, s32 b) { return clamp(s64{a} + b); });
  check<s32, s32, s32>("sub.sat.s32 $0, $1, $2;", [&](s32 a, s32 b) { return clamp(s64{a} - b); });
  check<s32, s32, s32, s32>("mad.hi.sat.s32 $0, $1, $2, $3;",
                            [&](s32 a, s32 b, s32 c) { return clamp((s64{a} * b >> 32) + c); });
}

TEST(IntegerLanes, WideProducts) {
  check<u32, u16, u16>("mul.wide.u16 $0, $1, $2;", [](u16 a, u16 b) { return u32{a} * b; });
  check<s32, s16, s16>("mul.wide.s16 $0, $1, $2;", [](s16 a, s16 b) { return s32{a} * b; });
  check<u64, u32, u32>("mul.wide.u32 $0, $1, $2;", [](u32 a, u32 b) { return u64{a} * b; });
  check<s64, s32, s32>("mul.wide.s32 $0, $1, $2;", [](s32 a, s32 b) { return s64{a} * b; });
  check<u64, u32, u32, u64>("mad.wide.u32 $0, $1, $2, $3;", [](u32 a, u32 b, u64 c) { return u64{a} * b + c; });
  check<s64, s32, s32, s64>("mad.wide.s32 $0, $1, $2, $3;",
                            [](s32 a, s32 b, s64 c) { return wrapped<s64>(s128{a} * b + c); });
  const auto low24 = [](s64 value) { return value << 40 >> 40; };
  check<s32, s32, s32>("mul24.lo.s32 $0, $1, $2;", [&](s32 a, s32 b) { return wrapped<s32>(low24(a) * low24(b)); });
  check<u32, u32, u32>("mul24.hi.u32 $0, $1, $2;",
                       [](u32 a, u32 b) { return static_cast<u32>(u64{a & 0xffffff} * (b & 0xffffff) >> 16); });
  check<u32, u32, u32, u32>("mad24.lo.u32 $0, $1, $2, $3;", [](u32 a, u32 b, u32 c) {
    return static_cast<u32>(u64{a & 0xffffff} * (b & 0xffffff) + c);
  });
}

TEST(IntegerLanes, CarriesAndBorrows) {
  // 64-bit sums, differences and products of 32-bit halves.
  check<u64, u64, u64>(
      "{ .reg .b32 %a, %b, %c, %e; mov.b64 {%a, %b}, $1; mov.b64 {%c, %e}, $2;"
      " add.cc.u32 %a, %a, %c; addc.u32 %b, %b, %e; mov.b64 $0, {%a, %b}; }",
      [](u64 a, u64 b) { return a + b; });
  check<u64, u64, u64>(
      "{ .reg .b32 %a, %b, %c, %e; mov.b64 {%a, %b}, $1; mov.b64 {%c, %e}, $2;"
      " sub.cc.u32 %a, %a, %c; subc.cc.u32 %b, %b, %e; mov.b64 $0, {%a, %b}; }",
      [](u64 a, u64 b) { return a - b; });
  check<u32, u64, u64>(
      "{ .reg .b32 %a, %b, %c, %e; mov.b64 {%a, %b}, $1; mov.b64 {%c, %e}, $2;"
      " add.cc.u32 %a, %a, %c; addc.cc.u32 %b, %b, %e; addc.u32 $0, 0, 0; }",
      [](u64 a, u64 b) { return static_cast<u32>((u128(a) + b) >> 64); });
  check<u64, u32, u32, u64>(
      "{ .reg .b32 %a, %b; mov.b64 {%a, %b}, $3;"
      " mad.lo.cc.u32 %a, $1, $2, %a; madc.hi.u32 %b, $1, $2, %b; mov.b64 $0, {%a, %b}; }",
      [](u32 a, u32 b, u64 c) { return u64{a} * b + c; });
}

TEST(IntegerLanes, DotProducts) {
  const auto byte = [](u32 x, int i, bool is_signed) {
    return is_signed ? s32{static_cast<s8>(x >> (8 * i))} : s32{static_cast<u8>(x >> (8 * i))};
  };
  for (int kind = 0; kind < 4; ++kind) {
    const bool a_signed = kind & 1, b_signed = kind & 2;
    const std::string types = fmt::format("{}.{}", a_signed ? "s32" : "u32", b_signed ? "s32" : "u32");
    check<u32, u32, u32, u32>(fmt::format("dp4a.{} $0, $1, $2, $3;", types), [&](u32 a, u32 b, u32 c) {
      for (int i = 0; i < 4; ++i) c += static_cast<u32>(byte(a, i, a_signed) * byte(b, i, b_signed));
      return c;
    });
    for (int high = 0; high < 2; ++high) {
      check<u32, u32, u32, u32>(
          fmt::format("dp2a.{}.{} $0, $1, $2, $3;", high ? "hi" : "lo", types), [&](u32 a, u32 b, u32 c) {
            for (int i = 0; i < 2; ++i) {
              const s32 x = a_signed ? s32{static_cast<s16>(a >> (16 * i))} : s32{static_cast<u16>(a >> (16 * i))};
              c += static_cast<u32>(x * byte(b, 2 * high + i, b_signed));
            }
            return c;
          });
    }
  }
}

TEST(BitLanes, Logic) {
  check<u32, u32, u32>("and.b32 $0, $1, $2;", [](u32 a, u32 b) { return a & b; });
  check<u64, u64, u64>("or.b64 $0, $1, $2;", [](u64 a, u64 b) { return a | b; });
  check<u16, u16, u16>("xor.b16 $0, $1, $2;", [](u16 a, u16 b) { return static_cast<u16>(a ^ b); });
  check<u16, u16>("not.b16 $0, $1;", [](u16 a) { return static_cast<u16>(~a); });
  check<u32, u32>("cnot.b32 $0, $1;", [](u32 a) { return u32{a == 0}; });
  check<bool, bool, bool>("and.pred $0, $1, $2;", [](bool a, bool b) { return a && b; });
  check<bool, bool, bool>("xor.pred $0, $1, !$2;", [](bool a, bool b) { return a == b; });
  check<bool, bool>("not.pred $0, $1;", [](bool a) { return !a; });
  check<bool, bool>("mov.pred $0, $1;", [](bool a) { return a; });
  check<bool, bool>("mov.pred $0, -1;", [](bool) { return true; });
  for (int table : {0x00, 0x1b, 0x96, 0xca, 0xe8, 0xff}) {
    check<u32, u32, u32, u32>(fmt::format("lop3.b32 $0, $1, $2, $3, {};", table), [&](u32 a, u32 b, u32 c) {
      u32 out = 0;
      for (int i = 0; i < 32; ++i)
        out |= static_cast<u32>(table >> ((a >> i & 1) * 4 + (b >> i & 1) * 2 + (c >> i & 1)) & 1) << i;
      return out;
    });
  }
}

TEST(BitLanes, FieldsAndCounts) {
  check<u32, u32>("popc.b32 $0, $1;", [](u32 a) { return static_cast<u32>(__builtin_popcount(a)); });
  check<u32, u64>("popc.b64 $0, $1;", [](u64 a) { return static_cast<u32>(__builtin_popcountll(a)); });
  check<u32, u32>("clz.b32 $0, $1;", [](u32 a) { return a == 0 ? 32u : static_cast<u32>(__builtin_clz(a)); });
  check<u32, u64>("clz.b64 $0, $1;", [](u64 a) { return a == 0 ? 64u : static_cast<u32>(__builtin_clzll(a)); });
  check<u32, u32>("bfind.u32 $0, $1;", [](u32 a) { return a == 0 ? ~0u : 31u - static_cast<u32>(__builtin_clz(a)); });
  check<u32, s32>("bfind.s32 $0, $1;", [](s32 a) {
    const u32 bits = static_cast<u32>(a < 0 ? ~a : a);
    return bits == 0 ? ~0u : 31u - static_cast<u32>(__builtin_clz(bits));
  });
  check<u32, u32>("bfind.shiftamt.u32 $0, $1;",
                  [](u32 a) { return a == 0 ? ~0u : static_cast<u32>(__builtin_clz(a)); });
  check<u32, u32>("brev.b32 $0, $1;", [](u32 a) {
    u32 out = 0;
    for (int i = 0; i < 32; ++i) out |= (a >> i & 1) << (31 - i);
    return out;
  });
  // bfe and bfi as the PTX ISA's pseudo-code has them, bit by bit.
  const auto bfe = [](u64 a, u32 b, u32 c, int bits, bool is_signed) {
    const int msb = bits - 1, position = b & 0xff, length = c & 0xff;
    const bool sign = is_signed && length != 0 && (a >> std::min(position + length - 1, msb) & 1);
    u64 out = 0;
    for (int i = 0; i <= msb; ++i)
      out |= u64{i < length && position + i <= msb ? bool(a >> (position + i) & 1) : sign} << i;
    return out;
  };
  check<u32, u32, u32, u32>("bfe.u32 $0, $1, $2, $3;",
                            [&](u32 a, u32 b, u32 c) { return static_cast<u32>(bfe(a, b, c, 32, false)); });
  check<s32, u32, u32, u32>("bfe.s32 $0, $1, $2, $3;",
                            [&](u32 a, u32 b, u32 c) { return static_cast<s32>(bfe(a, b, c, 32, true)); });
  check<u64, u64, u32, u32>("bfe.u64 $0, $1, $2, $3;", [&](u64 a, u32 b, u32 c) { return bfe(a, b, c, 64, false); });
  check<s64, u64, u32, u32>("bfe.s64 $0, $1, $2, $3;",
                            [&](u64 a, u32 b, u32 c) { return static_cast<s64>(bfe(a, b, c, 64, true)); });
  const auto bfi = [](u64 a, u64 b, u32 c, u32 d, int bits) {
    const int msb = bits - 1, position = c & 0xff, length = d & 0xff;
    for (int i = 0; i < length && position + i <= msb; ++i) {
      b = (b & ~(u64{1} << (position + i))) | (a >> i & 1) << (position + i);
    }
    return b;
  };
  check<u32, u32, u32, u32, u32>("bfi.b32 $0, $1, $2, $3, $4;",
                                 [&](u32 a, u32 b, u32 c, u32 d) { return static_cast<u32>(bfi(a, b, c, d, 32)); });
  check<u64, u64, u64, u32, u32>("bfi.b64 $0, $1, $2, $3, $4;",
                                 [&](u64 a, u64 b, u32 c, u32 d) { return bfi(a, b, c, d, 64); });
}

TEST(BitLanes, FunnelShiftsAndPermutations) {
  const auto both = [](u32 low, u32 high) { return u64{high} << 32 | low; };
  check<u32, u32, u32, u32>("shf.l.wrap.b32 $0, $1, $2, $3;",
                            [&](u32 a, u32 b, u32 c) { return static_cast<u32>((both(a, b) << (c & 31)) >> 32); });
  check<u32, u32, u32, u32>("shf.r.wrap.b32 $0, $1, $2, $3;",
                            [&](u32 a, u32 b, u32 c) { return static_cast<u32>(both(a, b) >> (c & 31)); });
  check<u32, u32, u32, u32>("shf.l.clamp.b32 $0, $1, $2, $3;", [&](u32 a, u32 b, u32 c) {
    return static_cast<u32>((both(a, b) << std::min(c, 32u)) >> 32);
  });
  check<u32, u32, u32, u32>("shf.r.clamp.b32 $0, $1, $2, $3;",
                            [&](u32 a, u32 b, u32 c) { return static_cast<u32>(both(a, b) >> std::min(c, 32u)); });
  check<u32, u32, u32, u32>("prmt.b32 $0, $1, $2, $3;", [&](u32 a, u32 b, u32 c) {
    u32 out = 0;
    for (int i = 0; i < 4; ++i) {
      const u32 selector = c >> (4 * i) & 15;
      const u8 byte = static_cast<u8>(both(a, b) >> (8 * (selector & 7)));
      out |= u32{selector & 8 ? static_cast<u8>(static_cast<s8>(byte) >> 7) : byte} << (8 * i);
    }
    return out;
  });
}

TEST(SelectLanes, SelectionsAndMoves) {
  check<u32, u32, u32, bool>("selp.b32 $0, $1, $2, $3;", [](u32 a, u32 b, bool c) { return c ? a : b; });
  check<u64, u64, u64, bool>("selp.b64 $0, $1, $2, $3;", [](u64 a, u64 b, bool c) { return c ? a : b; });
  check<u16, u16, u16, bool>("selp.b16 $0, $1, $2, $3;", [](u16 a, u16 b, bool c) { return c ? a : b; });
  check<u32, u32, u32, s32>("slct.b32.s32 $0, $1, $2, $3;", [](u32 a, u32 b, s32 c) { return c >= 0 ? a : b; });
  check<u32, u32, u32, float>("slct.b32.f32 $0, $1, $2, $3;", [](u32 a, u32 b, float c) { return c >= 0 ? a : b; });
  check<u32, u32>("mov.u32 $0, $1;", [](u32 a) { return a; });
  check<u32, u32>("mov.u32 $0, 0x12345678;", [](u32) { return 0x12345678u; });
  check<float, u32>("mov.f32 $0, 0f40490FDB;", [](u32) { return 3.14159274f; });
  check<u32, u16, u16>("mov.b32 $0, {$1, $2};", [](u16 a, u16 b) { return a | u32{b} << 16; });
  check<u64, u32, u32>("mov.b64 $0, {$1, $2};", [](u32 a, u32 b) { return a | u64{b} << 32; });
  check<u64, u16, u16, u16, u16>("mov.b64 $0, {$1, $2, $3, $4};", [](u16 a, u16 b, u16 c, u16 d) {
    return a | u64{b} << 16 | u64{c} << 32 | u64{d} << 48;
  });
  check<u32, u64>("{ .reg .b32 %low; mov.b64 {%low, $0}, $1; }", [](u64 a) { return static_cast<u32>(a >> 32); });
  check<u16, u64>("mov.b64 {_, _, $0, _}, $1;", [](u64 a) { return static_cast<u16>(a >> 32); });
  check<u32, float, float>("set.gt.u32.f32 $0, $1, $2;", [](float a, float b) { return a > b ? ~0u : 0u; });
  check<float, s32, s32>("set.le.f32.s32 $0, $1, $2;", [](s32 a, s32 b) { return a <= b ? 1.0f : 0.0f; });
  // p|q: both the comparison and its opposite, combined.
  check<bool, u32, u32, bool>("{ .reg .pred %x, %y; setp.lt.or.u32 %x|%y, $1, $2, $3; xor.pred $0, %x, %y; }",
                              [](u32 a, u32 b, bool c) { return (a < b || c) != (!(a < b) || c); });
}

}  // namespace
}  // namespace hearth::sim::test
