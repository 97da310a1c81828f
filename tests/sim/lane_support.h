// Runs a few PTX instructions over 32 lanes, through the parser and the lane functions, and compares every lane with
// an expectation that was computed in another way.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "sim/exec/lane_ops.h"
#include "sim/ptx/parse.h"
#include "support/support.h"

namespace hearth::sim::test {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using s8 = std::int8_t;
using s16 = std::int16_t;
using s32 = std::int32_t;
using s64 = std::int64_t;

template <class T>
using Lanes = std::array<T, 32>;
struct Half {  // the bits of an f16 (or bf16), so that it is not taken for an integer
  u16 bits = 0;
};

// The lanes of a register in their 64-bit form; a predicate is 0 or 1.
using Bits = Lanes<u64>;

// Executes `text`, in which $0 is the result and $1, $2 ... the sources, in the lanes of `active`. `widths` are the
// registers' bytes (0: predicate), that of the result first; values[0] is what the result's register held before.
// `keep_old`: load that first; without it the allocator may give the result the place of a source.
Bits run_lanes(std::string_view text, const std::vector<int>& widths, const std::vector<Bits>& values, u32 active,
               bool keep_old);

// One for the program; its seed is printed.
std::mt19937_64& random_engine();

// Instruction sets of this machine.
std::vector<const char*> lane_isas();

template <class T>
constexpr int width_of() {
  return std::is_same_v<T, bool> ? 0 : sizeof(T) < 2 ? 2 : static_cast<int>(sizeof(T));
}
template <class T>
u64 to_bits(T value) {
  if constexpr (std::is_same_v<T, float>) return std::bit_cast<u32>(value);
  if constexpr (std::is_same_v<T, double>) return std::bit_cast<u64>(value);
  if constexpr (std::is_same_v<T, Half>) return value.bits;
  if constexpr (std::is_same_v<T, bool>) return value;
  if constexpr (std::is_integral_v<T>)
    return static_cast<std::make_unsigned_t<std::conditional_t<std::is_same_v<T, bool>, u8, T>>>(value);
}
template <class T>
T from_bits(u64 bits) {
  if constexpr (std::is_same_v<T, float>) return std::bit_cast<float>(static_cast<u32>(bits));
  if constexpr (std::is_same_v<T, double>) return std::bit_cast<double>(bits);
  if constexpr (std::is_same_v<T, Half>) return Half{static_cast<u16>(bits)};
  if constexpr (std::is_same_v<T, bool>) return bits != 0;
  if constexpr (std::is_integral_v<T>) return static_cast<T>(bits);
}

// Random bits, and often a value on which arithmetic goes wrong.
template <class T>
T random_value(std::mt19937_64& random) {
  const u64 bits = random();
  const u64 choice = random();
  if constexpr (std::is_same_v<T, bool>) {
    return bits & 1;
  } else if constexpr (std::is_same_v<T, float>) {
    static constexpr u32 kSpecial[] = {0,          0x80000000, 1,          0x80000001, 0x007fffff, 0x00800000,
                                       0x3f800000, 0xbf800000, 0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000,
                                       0x7fc00000, 0xffc12345, 0x4f000000, 0xcf000000, 0x4effffff, 0x3f000000,
                                       0x3fc00000, 0x40200000, 0x5f000000};
    if (choice % 3 == 0) return std::bit_cast<float>(kSpecial[choice / 3 % std::size(kSpecial)]);
    // Exponents near one another, so that sums round in interesting ways; sometimes any bits.
    if (choice % 3 == 1) return std::bit_cast<float>((static_cast<u32>(bits) & 0x87ffffffu) + 0x3c000000u);
    return std::bit_cast<float>(static_cast<u32>(bits));
  } else if constexpr (std::is_same_v<T, double>) {
    static constexpr double kSpecial[] = {
        0.0,    -0.0, 0x1p-1074, 0x1p-1022, 1.0,  -1.0,    0x1.fffffffffffffp1023, 0x1p31,  -0x1p31, 0x1p63, -0x1p63,
        0x1p64, 0.5,  1.5,       2.5,       -0.5, 65520.0, 0x1.fffffefp127,        0x1p-150};
    if (choice % 3 == 0) return kSpecial[choice / 3 % std::size(kSpecial)];
    if (choice % 3 == 1) return std::bit_cast<double>((bits & 0x803fffffffffffffu) + 0x3fd0000000000000u);
    return std::bit_cast<double>(bits);
  } else if constexpr (std::is_same_v<T, Half>) {
    static constexpr u16 kSpecial[] = {0,      0x8000, 1,      0x8001, 0x03ff, 0x0400, 0x3c00,
                                       0xbc00, 0x7bff, 0xfbff, 0x7c00, 0xfc00, 0x7e00, 0x3f80,
                                       0xbf80, 0x7f7f, 0x7f80, 0xff80, 0x7fc0, 0x0080, 0x007f};
    return Half{choice % 3 == 0 ? kSpecial[choice / 3 % std::size(kSpecial)] : static_cast<u16>(bits)};
  } else {
    using Limits = std::numeric_limits<T>;
    const T special[] = {T{0},          T{1},          static_cast<T>(-1),
                         Limits::min(), Limits::max(), static_cast<T>(Limits::max() - 1),
                         T{2},          T{7},          T{31},
                         T{32},         T{33},         T{63},
                         T{64},         T{100}};
    if (choice % 3 == 0) return special[choice / 3 % std::size(special)];
    return choice % 3 == 1 ? static_cast<T>(bits) : static_cast<T>(bits >> (choice / 3 % 64));
  }
}

// Whether a result is as good as the expectation: the same bits, where numbers are compared; f32 and 16-bit NaNs have
// one form on these machines, f64 NaNs any.
template <class T>
bool same(T got, T expected) {
  if constexpr (std::is_same_v<T, double>) {
    if (expected != expected) return got != got;
  }
  if constexpr (std::is_same_v<T, float>) {
    if (expected != expected) return std::bit_cast<u32>(got) == 0x7fffffffu;
  }
  return to_bits(got) == to_bits(expected);
}

template <class... S, std::size_t... index>
void fill_sources(std::vector<Bits>& values, int lane, std::mt19937_64& random, std::index_sequence<index...>) {
  ((values[index + 1][lane] = to_bits(random_value<S>(random))), ...);
}
template <class... S, std::size_t... index>
std::tuple<S...> sources(const std::vector<Bits>& values, int lane, std::index_sequence<index...>) {
  return {from_bits<S>(values[index + 1][lane])...};
}

// check<D, A, B>("add.u32 $0, $1, $2;", [](A a, B b) { return a + b; })
template <class D, class... S, class Expect>
void check(std::string_view text, Expect expect) {
  SCOPED_TRACE(text);
  std::mt19937_64& random = random_engine();
  const std::vector<int> widths{width_of<D>(), width_of<S>()...};
  for (const char* isa : lane_isas()) {
    ASSERT_TRUE(exec::set_lane_isa(isa));
    for (int round = 0; round < 40; ++round) {
      std::vector<Bits> values(1 + sizeof...(S));
      for (int lane = 0; lane < 32; ++lane) {
        values[0][lane] = to_bits(random_value<D>(random));
        fill_sources<S...>(values, lane, random, std::index_sequence_for<S...>{});
      }
      const bool all = round % 2 == 0;
      const u32 active = all ? ~0u : static_cast<u32>(random());
      const Bits results = run_lanes(text, widths, values, active, !all);
      if (::testing::Test::HasFatalFailure()) return;
      for (int lane = 0; lane < 32; ++lane) {
        const D got = from_bits<D>(results[lane]);
        if ((active >> lane & 1) == 0) {
          ASSERT_EQ(results[lane], values[0][lane]) << isa << ": an inactive lane was written";
          continue;
        }
        const D expected = std::apply(expect, sources<S...>(values, lane, std::index_sequence_for<S...>{}));
        if (!same<D>(got, expected)) {
          std::string shown;
          for (std::size_t i = 1; i < values.size(); ++i) shown += fmt::format(" {:#x}", values[i][lane]);
          FAIL() << isa << ", lane " << lane << ":" << shown << fmt::format(" gave {:#x}", to_bits(got))
                 << fmt::format(", expected {:#x}", to_bits(expected));
        }
      }
    }
  }
}

}  // namespace hearth::sim::test
