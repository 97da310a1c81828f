// Floating-point arithmetic and conversions. Expectations come from __float128, which holds every exact sum and
// product below, rounded by searching the neighbours of the format, not by the code under test.
#include <algorithm>
#include <cmath>

#include "base/half.h"
#include "sim/lane_support.h"

namespace hearth::sim::test {
namespace {

using Exact = __float128;
enum class Mode { kNearest, kZero, kDown, kUp };

bool is_nan(Exact value) {
  return value != value;
}

// a + b; where not even 113 bits hold it, a value that lies on the same side of everything that is rounded to.
Exact exact_sum(Exact a, Exact b) {
  const Exact total = a + b;
  const Exact b_part = total - a;
  const Exact error = (a - (total - b_part)) + (b - b_part);
  if (Exact(static_cast<double>(total)) != total) return total;  // between the values of every format here
  const Exact nudge = (total < 0 ? -total : total) * Exact(0x1p-112);
  return error > 0 ? total + nudge : error < 0 ? total - nudge : total;
}

// The neighbours of an exact value among floats, and of these the one that the mode asks for.
float round_to_float(Exact exact, Mode mode) {
  if (is_nan(exact)) return std::nanf("");
  float nearest = static_cast<float>(exact);
  if (std::isinf(nearest) && exact <= Exact(1e300) && exact >= Exact(-1e300)) {
    // Finite but too large: to the largest number when the mode points inwards.
    const bool inwards = mode == Mode::kZero || (mode == Mode::kDown && exact > 0) || (mode == Mode::kUp && exact < 0);
    return inwards ? std::copysign(0x1.fffffep127f, nearest) : nearest;
  }
  if (mode == Mode::kNearest || Exact(nearest) == exact) return nearest;
  const bool above = Exact(nearest) > exact;
  const bool want_below = mode == Mode::kDown || (mode == Mode::kZero && exact > 0);
  if (above == want_below) nearest = std::nextafter(nearest, want_below ? -INFINITY : INFINITY);
  return nearest;
}

// 16-bit formats, by search among all their magnitudes.
struct Format {
  int infinity;  // the bits
  float (*widen)(u16);
};
const Format kHalf{0x7c00, half_to_float};
const Format kBfloat{0x7f80, bfloat_to_float};

Half round_to_16(const Format& format, Exact exact, Mode mode = Mode::kNearest) {
  if (is_nan(exact)) return Half{0x7fff};
  const bool negative = exact < 0;
  const Exact magnitude = negative ? -exact : exact;
  // As if the format went on beyond its largest number, which is what rounding to nearest means there.
  const auto value = [&](int bits) {
    if (bits < format.infinity) return Exact(format.widen(static_cast<u16>(bits)));
    const Exact last = format.widen(static_cast<u16>(format.infinity - 1));
    return last + (last - Exact(format.widen(static_cast<u16>(format.infinity - 2))));
  };
  int low = 0, high = format.infinity;  // value(low) <= magnitude
  if (magnitude >= value(high)) {
    const bool inwards = mode == Mode::kZero || (mode == Mode::kDown && !negative) || (mode == Mode::kUp && negative);
    const bool finite = magnitude < Exact(1e300);
    return Half{
        static_cast<u16>((inwards && finite ? format.infinity - 1 : format.infinity) | (negative ? 0x8000 : 0))};
  }
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    (value(middle) <= magnitude ? low : high) = middle;
  }
  bool up = false;
  const Exact below = magnitude - value(low), above = value(high) - magnitude;
  if (below != 0) {
    switch (mode) {
      case Mode::kNearest:
        up = above < below || (above == below && (low & 1));
        break;
      case Mode::kZero:
        break;
      case Mode::kDown:
        up = negative;
        break;
      case Mode::kUp:
        up = !negative;
        break;
    }
  }
  return Half{static_cast<u16>((up ? high : low) | (negative ? 0x8000 : 0))};
}

float flush(float value) {
  return std::fpclassify(value) == FP_SUBNORMAL ? std::copysign(0.0f, value) : value;
}
float clamp01(float value) {
  return value > 0 ? std::min(value, 1.0f) : 0.0f;
}

// The sign of an exact zero is not in the exact value.
float sum(float a, float b, Mode mode) {
  const Exact exact = exact_sum(a, b);
  if (exact != 0 || std::isnan(a + b)) return round_to_float(exact, mode);
  return std::signbit(a) == std::signbit(b) ? a : mode == Mode::kDown ? -0.0f : 0.0f;
}
float product(float a, float b, Mode mode) {
  const float rounded = round_to_float(Exact(a) * Exact(b), mode);
  return std::isnan(rounded) ? rounded : std::copysign(rounded, (std::signbit(a) != std::signbit(b)) ? -1.0f : 1.0f);
}

TEST(FloatLanes, Arithmetic) {
  const Mode n = Mode::kNearest;
  check<float, float, float>("add.f32 $0, $1, $2;", [=](float a, float b) { return sum(a, b, n); });
  check<float, float, float>("sub.rn.f32 $0, $1, $2;", [=](float a, float b) { return sum(a, -b, n); });
  check<float, float, float>("mul.f32 $0, $1, $2;", [=](float a, float b) { return product(a, b, n); });
  check<float, float, float>("add.ftz.f32 $0, $1, $2;",
                             [=](float a, float b) { return flush(sum(flush(a), flush(b), n)); });
  check<float, float, float>("mul.ftz.sat.f32 $0, $1, $2;",
                             [=](float a, float b) { return clamp01(flush(product(flush(a), flush(b), n))); });
  check<float, float, float>("add.sat.f32 $0, $1, $2;", [=](float a, float b) { return clamp01(sum(a, b, n)); });
  check<float, float, float, float>("fma.rn.f32 $0, $1, $2, $3;",
                                    [](float a, float b, float c) { return std::fma(a, b, c); });
  check<float, float, float, float>("mad.rn.f32 $0, $1, $2, $3;",
                                    [](float a, float b, float c) { return std::fma(a, b, c); });
  check<float, float, float, float>("fma.rn.ftz.f32 $0, $1, $2, $3;", [](float a, float b, float c) {
    return flush(std::fma(flush(a), flush(b), flush(c)));
  });
  check<float, float, float>("div.rn.f32 $0, $1, $2;", [](float a, float b) { return a / b; });
  check<float, float, float>("div.full.f32 $0, $1, $2;", [](float a, float b) { return a / b; });
  check<float, float>("rcp.rn.f32 $0, $1;", [](float a) { return 1.0f / a; });
  check<float, float>("sqrt.rn.f32 $0, $1;", [](float a) { return std::sqrt(a); });
  check<u32, u32>("abs.f32 $0, $1;", [](u32 a) { return a & 0x7fffffff; });
  check<double, double, double>("add.f64 $0, $1, $2;", [](double a, double b) { return a + b; });
  check<double, double, double>("mul.f64 $0, $1, $2;", [](double a, double b) { return a * b; });
  check<double, double, double>("div.rn.f64 $0, $1, $2;", [](double a, double b) { return a / b; });
  check<double, double, double, double>("fma.rn.f64 $0, $1, $2, $3;",
                                        [](double a, double b, double c) { return std::fma(a, b, c); });
  check<double, double>("sqrt.rn.f64 $0, $1;", [](double a) { return std::sqrt(a); });
  check<u64, u64>("neg.f64 $0, $1;", [](u64 a) { return a ^ (u64{1} << 63); });
  check<u32, u32, u32>("copysign.f32 $0, $1, $2;", [](u32 a, u32 b) { return (a & 0x80000000) | (b & 0x7fffffff); });
}

TEST(FloatLanes, DirectedRounding) {
  const std::pair<const char*, Mode> modes[] = {{"rz", Mode::kZero}, {"rm", Mode::kDown}, {"rp", Mode::kUp}};
  for (const auto& [name, mode] : modes) {
    check<float, float, float>(fmt::format("add.{}.f32 $0, $1, $2;", name),
                               [m = mode](float a, float b) { return sum(a, b, m); });
    check<float, float, float>(fmt::format("mul.{}.f32 $0, $1, $2;", name),
                               [m = mode](float a, float b) { return product(a, b, m); });
    check<float, s32>(fmt::format("cvt.{}.f32.s32 $0, $1;", name),
                      [m = mode](s32 a) { return round_to_float(Exact(a), m); });
    check<float, u64>(fmt::format("cvt.{}.f32.u64 $0, $1;", name),
                      [m = mode](u64 a) { return round_to_float(Exact(a), m); });
    check<float, double>(fmt::format("cvt.{}.f32.f64 $0, $1;", name), [m = mode](double a) {
      const float rounded = round_to_float(Exact(a), m);
      return std::isnan(rounded) ? rounded : std::copysign(rounded, static_cast<float>(std::signbit(a) ? -1 : 1));
    });
    check<Half, float>(fmt::format("cvt.{}.f16.f32 $0, $1;", name), [m = mode](float a) {
      return std::isnan(a) ? Half{0x7fff}
                           : Half{static_cast<u16>(round_to_16(kHalf, a, m).bits | (std::signbit(a) ? 0x8000 : 0))};
    });
  }
}

TEST(FloatLanes, MinimaAndComparisons) {
  const auto min = [](float a, float b) {
    return std::isnan(a) ? b : std::isnan(b) ? a : a == b ? (std::signbit(a) ? a : b) : std::min(a, b);
  };
  const auto max = [](float a, float b) {
    return std::isnan(a) ? b : std::isnan(b) ? a : a == b ? (std::signbit(a) ? b : a) : std::max(a, b);
  };
  check<float, float, float>("min.f32 $0, $1, $2;", min);
  check<float, float, float>("max.f32 $0, $1, $2;", max);
  check<float, float, float>("max.NaN.f32 $0, $1, $2;",
                             [&](float a, float b) { return std::isnan(a) || std::isnan(b) ? NAN : max(a, b); });
  check<float, float, float>("min.ftz.f32 $0, $1, $2;", [&](float a, float b) { return min(flush(a), flush(b)); });
  const auto unordered = [](float a, float b) { return std::isnan(a) || std::isnan(b); };
  check<bool, float, float>("setp.eq.f32 $0, $1, $2;", [](float a, float b) { return a == b; });
  check<bool, float, float>("setp.ne.f32 $0, $1, $2;", [&](float a, float b) { return !unordered(a, b) && a != b; });
  check<bool, float, float>("setp.lt.f32 $0, $1, $2;", [](float a, float b) { return a < b; });
  check<bool, float, float>("setp.geu.f32 $0, $1, $2;", [](float a, float b) { return !(a < b); });
  check<bool, float, float>("setp.neu.f32 $0, $1, $2;", [](float a, float b) { return a != b; });
  check<bool, float, float>("setp.equ.f32 $0, $1, $2;", [&](float a, float b) { return unordered(a, b) || a == b; });
  check<bool, float, float>("setp.num.f32 $0, $1, $2;", [&](float a, float b) { return !unordered(a, b); });
  check<bool, float, float>("setp.nan.f32 $0, $1, $2;", unordered);
  check<bool, float, float>("setp.gt.ftz.f32 $0, $1, $2;", [](float a, float b) { return flush(a) > flush(b); });
  check<bool, double, double>("setp.leu.f64 $0, $1, $2;", [](double a, double b) { return !(a > b); });
  check<bool, float>("testp.finite.f32 $0, $1;", [](float a) { return std::isfinite(a); });
  check<bool, float>("testp.notanumber.f32 $0, $1;", [](float a) { return std::isnan(a); });
}

// Approximate functions: within the error that PTX allows (here: a few units in the last place).
void close(const char* text, float (*expect)(float), float largest) {
  SCOPED_TRACE(text);
  std::mt19937_64& random = random_engine();
  std::uniform_real_distribution<float> values(-largest, largest);
  for (const char* isa : lane_isas()) {
    ASSERT_TRUE(exec::set_lane_isa(isa));
    std::vector<Bits> in(2);
    for (int lane = 0; lane < 32; ++lane) in[1][lane] = to_bits(values(random));
    const Bits out = run_lanes(text, {4, 4}, in, ~0u, false);
    for (int lane = 0; lane < 32; ++lane) {
      const float x = from_bits<float>(in[1][lane]), expected = expect(x), got = from_bits<float>(out[lane]);
      if (std::isnan(expected)) {
        EXPECT_TRUE(std::isnan(got)) << x;
      } else {
        EXPECT_NEAR(got, expected, 4e-7f * std::max(std::fabs(expected), 1e-3f)) << x;
      }
    }
  }
}

TEST(FloatLanes, ApproximateFunctions) {
  close(
      "ex2.approx.ftz.f32 $0, $1;", [](float x) { return std::exp2(x); }, 30);
  close(
      "ex2.approx.f32 $0, $1;", [](float x) { return std::exp2(x); }, 1);
  close(
      "lg2.approx.f32 $0, $1;", [](float x) { return std::log2(x); }, 1000);
  close(
      "sin.approx.f32 $0, $1;", [](float x) { return std::sin(x); }, 3);
  close(
      "cos.approx.f32 $0, $1;", [](float x) { return std::cos(x); }, 3);
  close(
      "tanh.approx.f32 $0, $1;", [](float x) { return std::tanh(x); }, 4);
  close(
      "rsqrt.approx.f32 $0, $1;", [](float x) { return 1 / std::sqrt(x); }, 100);
  close(
      "rcp.approx.ftz.f32 $0, $1;", [](float x) { return 1 / x; }, 100);
  close(
      "sqrt.approx.f32 $0, $1;", [](float x) { return std::sqrt(x); }, 100);
  // The ends of 2^x.
  check<bool, float>("{ .reg .f32 %x; ex2.approx.f32 %x, 0fFF800000; setp.eq.f32 $0, %x, 0f00000000; }",
                     [](float) { return true; });
  check<bool, float>("{ .reg .f32 %x; ex2.approx.f32 %x, 0f43000000; setp.eq.f32 $0, %x, 0f7F800000; }",
                     [](float) { return true; });
  check<bool, float>("{ .reg .f32 %x; ex2.approx.f32 %x, 0fC3150000; setp.eq.f32 $0, %x, 0f00000001; }",
                     [](float) { return true; });
}

Half signed_zero(Half rounded, bool negative) {
  return rounded.bits == 0 && negative ? Half{0x8000} : rounded;
}

void check_16(const char* type, const Format& format) {
  const auto t = [&](std::string_view text) { return fmt::format(fmt::runtime(text), type); };
  const auto wide = [&](Half h) { return format.widen(h.bits); };
  check<Half, Half, Half>(t("add.{0} $0, $1, $2;"), [&](Half a, Half b) {
    const float x = wide(a), y = wide(b);
    return signed_zero(round_to_16(format, exact_sum(x, y)), std::signbit(x) && std::signbit(y));
  });
  check<Half, Half, Half>(t("mul.{0} $0, $1, $2;"), [&](Half a, Half b) {
    const float x = wide(a), y = wide(b);
    return signed_zero(round_to_16(format, Exact(x) * Exact(y)), std::signbit(x) != std::signbit(y));
  });
  check<Half, Half, Half, Half>(t("fma.rn.{0} $0, $1, $2, $3;"), [&](Half a, Half b, Half c) {
    const float x = wide(a), y = wide(b), z = wide(c);
    const Exact total = exact_sum(Exact(x) * Exact(y), z);
    const bool minus = std::signbit(x) != std::signbit(y);
    return signed_zero(round_to_16(format, total), total != 0 ? total < 0 : minus && std::signbit(z));
  });
  check<Half, Half, Half>(t("max.{0} $0, $1, $2;"), [&](Half a, Half b) {
    const float x = wide(a), y = wide(b);
    if (std::isnan(x) || std::isnan(y)) return std::isnan(x) && std::isnan(y) ? Half{0x7fff} : std::isnan(x) ? b : a;
    return x == y ? (std::signbit(x) ? b : a) : x > y ? a : b;
  });
  check<u16, u16>(t("neg.{0} $0, $1;"), [](u16 a) { return static_cast<u16>(a ^ 0x8000); });
  check<u16, u16>(t("abs.{0} $0, $1;"), [](u16 a) { return static_cast<u16>(a & 0x7fff); });
  check<bool, Half, Half>(t("setp.lt.{0} $0, $1, $2;"), [&](Half a, Half b) { return wide(a) < wide(b); });
  check<float, Half>(t("cvt.f32.{0} $0, $1;"), [&](Half a) { return wide(a); });
  check<Half, float>(t("cvt.rn.{0}.f32 $0, $1;"),
                     [&](float a) { return signed_zero(round_to_16(format, a), std::signbit(a)); });
  check<Half, s32>(t("cvt.rn.{0}.s32 $0, $1;"), [&](s32 a) { return round_to_16(format, a); });
  check<Half, u64>(t("cvt.rn.{0}.u64 $0, $1;"), [&](u64 a) { return round_to_16(format, a); });
  // Pairs are two of the same.
  check<u32, u32, u32>(t("mul.{0}x2 $0, $1, $2;"), [&](u32 a, u32 b) {
    u32 out = 0;
    for (int i = 0; i < 32; i += 16) {
      const float x = format.widen(static_cast<u16>(a >> i)), y = format.widen(static_cast<u16>(b >> i));
      out |= u32{signed_zero(round_to_16(format, Exact(x) * Exact(y)), std::signbit(x) != std::signbit(y)).bits} << i;
    }
    return out;
  });
  check<u32, float, float>(t("cvt.rn.{0}x2.f32 $0, $1, $2;"), [&](float high, float low) {
    return u32{signed_zero(round_to_16(format, high), std::signbit(high)).bits} << 16 |
           signed_zero(round_to_16(format, low), std::signbit(low)).bits;
  });
  check<u32, u32, u32>(t("set.ge.u32.{0}x2 $0, $1, $2;"), [&](u32 a, u32 b) {
    const auto ge = [&](int i) {
      return format.widen(static_cast<u16>(a >> i)) >= format.widen(static_cast<u16>(b >> i));
    };
    return (ge(0) ? 0xffffu : 0) | (ge(16) ? 0xffff0000u : 0);
  });
}

TEST(HalfLanes, F16) {
  check_16("f16", kHalf);
}
TEST(HalfLanes, Bf16) {
  check_16("bf16", kBfloat);
}

template <class T>
T clamp_to(Exact value) {
  using Limits = std::numeric_limits<T>;
  if (is_nan(value)) return sizeof(T) == 8 ? static_cast<T>(u64{1} << 63) : T{0};
  return value < Exact(Limits::min())   ? Limits::min()
         : value > Exact(Limits::max()) ? Limits::max()
                                        : static_cast<T>(value);
}

TEST(ConvertLanes, FloatsToIntegers) {
  check<s32, float>("cvt.rzi.s32.f32 $0, $1;", [](float a) { return clamp_to<s32>(std::trunc(a)); });
  check<s32, float>("cvt.rni.s32.f32 $0, $1;", [](float a) { return clamp_to<s32>(std::nearbyint(a)); });
  check<s32, float>("cvt.rmi.s32.f32 $0, $1;", [](float a) { return clamp_to<s32>(std::floor(a)); });
  check<s32, float>("cvt.rpi.s32.f32 $0, $1;", [](float a) { return clamp_to<s32>(std::ceil(a)); });
  check<u32, float>("cvt.rzi.u32.f32 $0, $1;", [](float a) { return clamp_to<u32>(std::trunc(a)); });
  check<u64, float>("cvt.rzi.u64.f32 $0, $1;", [](float a) { return clamp_to<u64>(std::trunc(a)); });
  check<s64, double>("cvt.rni.s64.f64 $0, $1;", [](double a) { return clamp_to<s64>(std::nearbyint(a)); });
  check<s16, Half>("cvt.rzi.s16.f16 $0, $1;", [](Half a) { return clamp_to<s16>(std::trunc(half_to_float(a.bits))); });
  check<float, float>("cvt.rmi.f32.f32 $0, $1;", [](float a) { return std::floor(a); });
  check<float, float>("cvt.rni.f32.f32 $0, $1;", [](float a) { return std::nearbyint(a); });
  check<float, float>("cvt.sat.f32.f32 $0, $1;", clamp01);
  check<double, float>("cvt.f64.f32 $0, $1;", [](float a) { return double{a}; });
  check<float, double>("cvt.rn.f32.f64 $0, $1;", [](double a) { return static_cast<float>(a); });
}

TEST(ConvertLanes, Integers) {
  check<float, s32>("cvt.rn.f32.s32 $0, $1;", [](s32 a) { return static_cast<float>(a); });
  check<float, u32>("cvt.rn.f32.u32 $0, $1;", [](u32 a) { return static_cast<float>(a); });
  check<float, u32>("cvt.rn.f32.s8 $0, $1;", [](u32 a) { return static_cast<float>(static_cast<s8>(a)); });
  check<double, u64>("cvt.rn.f64.u64 $0, $1;", [](u64 a) { return static_cast<double>(a); });
  check<s64, s32>("cvt.s64.s32 $0, $1;", [](s32 a) { return s64{a}; });
  check<u64, u32>("cvt.u64.u32 $0, $1;", [](u32 a) { return u64{a}; });
  check<u32, u64>("cvt.u32.u64 $0, $1;", [](u64 a) { return static_cast<u32>(a); });
  check<u16, u32>("cvt.u16.u32 $0, $1;", [](u32 a) { return static_cast<u16>(a); });
  check<s32, u16>("cvt.s32.s8 $0, $1;", [](u16 a) { return s32{static_cast<s8>(a)}; });
  check<u32, u16>("cvt.u32.u8 $0, $1;", [](u16 a) { return u32{static_cast<u8>(a)}; });
  check<s32, u32>("cvt.s32.s16 $0, $1;", [](u32 a) { return s32{static_cast<s16>(a)}; });
  check<u32, u32>("cvt.s8.u32 $0, $1;", [](u32 a) { return static_cast<u32>(static_cast<s8>(a)); });
  check<u16, s32>("cvt.sat.u8.s32 $0, $1;", [](s32 a) { return static_cast<u16>(std::clamp(a, 0, 255)); });
  check<s16, s64>("cvt.sat.s16.s64 $0, $1;", [](s64 a) { return static_cast<s16>(std::clamp<s64>(a, -32768, 32767)); });
  check<s32, u64>("cvt.sat.s32.u64 $0, $1;", [](u64 a) { return static_cast<s32>(std::min<u64>(a, INT32_MAX)); });
  check<u32, float>("cvt.rna.tf32.f32 $0, $1;", [](float a) {
    const u32 bits = std::bit_cast<u32>(a);
    if (std::isnan(a)) return 0x7fffffffu;
    return std::isinf(a) ? bits : (bits + 0x1000) & ~0x1fffu;
  });
}

// 8-bit floats: every code there and back, and what lies between goes to the nearest.
TEST(ConvertLanes, EightBitFloats) {
  for (const char* isa : lane_isas()) {
    ASSERT_TRUE(exec::set_lane_isa(isa));
    for (int code = 0; code < 256; ++code) {
      const int exponent = code >> 3 & 15, fraction = code & 7;
      const float magnitude = exponent ? std::ldexp(8.0f + static_cast<float>(fraction), exponent - 10)
                                       : std::ldexp(static_cast<float>(fraction), -9);
      const float value = (code & 0x7f) == 0x7f ? NAN : code & 0x80 ? -magnitude : magnitude;
      std::vector<Bits> in(2);
      in[1].fill(static_cast<u64>(code | 0x3800));  // the high one is 1.0
      const u64 halves = run_lanes("cvt.rn.f16x2.e4m3x2 $0, $1;", {4, 2}, in, ~0u, false)[5];
      if (std::isnan(value)) {
        EXPECT_EQ(halves, 0x3c007fffu);
        continue;
      }
      EXPECT_EQ(half_to_float(static_cast<u16>(halves)), value) << code;
      EXPECT_EQ(halves >> 16, 0x3c00u);
      std::vector<Bits> out(3);
      out[1].fill(to_bits(1000.0f));  // too large: the largest
      out[2].fill(to_bits(value * 1.01f));
      EXPECT_EQ(run_lanes("cvt.rn.satfinite.e4m3x2.f32 $0, $1, $2;", {2, 4, 4}, out, ~0u, false)[9],
                0x7e00u | static_cast<u64>(code))
          << code;
    }
  }
}

}  // namespace
}  // namespace hearth::sim::test
